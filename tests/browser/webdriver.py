"""A browser without a window: Chromium through chromedriver (W3C WebDriver), with the standard library alone."""
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-dev-shm-usage")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004", "ArrowLeft": "\ue012", "ArrowUp": "\ue013",
        "ArrowRight": "\ue014", "ArrowDown": "\ue015", "End": "\ue010", "Home": "\ue011", "PageDown": "\ue00f"}


class BrowserError(Exception):
    """What the browser or its driver answered instead."""


def missing():
    """The program that is not there, or None."""
    for name in ("chromium", "chromedriver"):
        if not shutil.which(name):
            return name
    return None


class Browser:
    """One browser with a profile of its own, gone at the end of the with statement."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="kvmlens-browser.")
        # A process group: chromedriver's children end with it.
        self.driver = subprocess.Popen(  # pylint: disable=consider-using-with
            ["chromedriver", "--port=0"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        self.base = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        for line in self.driver.stdout:
            found = re.search(r"successfully on port (\d+)", line)
            if found:
                break
        else:
            raise BrowserError("chromedriver did not start")
        self.base = f"http://127.0.0.1:{found[1]}"
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": [
                *FLAGS, f"--user-data-dir={self.folder}/profile"]}}}})
        self.base += f"/session/{answer['sessionId']}"

    def close(self):
        try:
            os.killpg(self.driver.pid, signal.SIGTERM)
            self.driver.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        self.driver.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method, headers={"Content-Type": "application/json"},
                                         data=None if method == "GET" else json.dumps(body or {}).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=90) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserError(f"{method} {path}: {json.load(error)['value']['message'].splitlines()[0]}") from None

    def open(self, path):
        self.call("POST", "/url", {"url": "file://" + os.path.abspath(path)})

    def run(self, script, *args):
        """The value of SCRIPT, the body of a function; "return" gives it."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def wait(self, condition, what, seconds=10):
        """Until CONDITION, an expression, holds; two frames are painted after that."""
        script = """const [end, done] = [performance.now() + arguments[0], arguments[1]];
            const look = () => { let r; try { r = %s; } catch { r = false; }
                if (r || performance.now() > end) requestAnimationFrame(() => requestAnimationFrame(() => done(!!r)));
                else setTimeout(look, 20); };
            look();""" % condition
        if not self.call("POST", "/execute/async", {"script": script, "args": [1000 * seconds]}):
            raise BrowserError(f"waited {seconds} s in vain: {what}")

    def element(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.call("POST", f"/element/{self.element(selector)}/click")

    def press(self, *keys):
        """Keys to what has the focus."""
        actions = []
        for key in keys:
            value = KEYS.get(key, key)
            actions += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def pointer(self, *actions):
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": list(actions)}]})

    def click_at(self, x, y):
        self.pointer({"type": "pointerMove", "x": x, "y": y}, {"type": "pointerDown", "button": 0},
                     {"type": "pointerUp", "button": 0})

    def wheel(self, x, y, delta):
        self.call("POST", "/actions", {"actions": [{"type": "wheel", "id": "wheel", "actions": [
            {"type": "scroll", "x": x, "y": y, "deltaX": 0, "deltaY": delta}]}]})

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def size(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=False)

    def prefer(self, scheme, motion="no-preference"):
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}])

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def log(self, kind):
        return self.call("POST", "/se/log", {"type": kind})

    def errors(self):
        """What the page complained of since it was last asked."""
        return [entry["message"] for entry in self.log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self):
        """The addresses that were asked for since it was last asked."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
