"""A small client of Chromium's debugging protocol, over a pipe: no port, no library."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
]
# Chromium talks on the descriptors 3 and 4.
_START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4);"
    "os.execvp(sys.argv[3], sys.argv[3:])"
)


def find_chromium():
    """Return the path of a browser, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Browser:
    """One headless browser with one tab; a context manager."""

    def __init__(self, folder, timeout=60.0):
        self.timeout = timeout
        self.events = []
        self._replies, self._buffer, self._session, self._sent = {}, b"", None, 0
        to_browser, from_browser = _pipe(), _pipe()
        self._write, self._read = to_browser[1], from_browser[0]
        passed = to_browser[0], from_browser[1]
        command = [find_chromium(), *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, passed), *command],
            pass_fds=passed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for descriptor in passed:
            os.close(descriptor)
        self._attach()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        try:
            self.call("Browser.close", on_tab=False)
            self._process.wait(10)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def call(self, method, on_tab=True, **params):
        """Send a command and return its result; events that come are kept."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params}
        if on_tab:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        number = self._sent
        reply = self._wait(lambda: self._replies.pop(number, None))
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']}")
        return reply["result"]

    def wait_for(self, method):
        """Return the parameters of the next event of this name not yet read."""
        return self._wait(lambda: next(iter(self.seen(method)), None))

    def seen(self, method):
        """Return the parameters of all events of this name."""
        return [e["params"] for e in self.events if e["method"] == method]

    def open(self, url):
        """Load a page, forgetting earlier events; return the seconds it took."""
        self.events.clear()
        begin = time.perf_counter()
        self.call("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")
        # A frame has been painted, too.
        self.evaluate(
            "new Promise(d => requestAnimationFrame(() => requestAnimationFrame(d)))"
        )
        return time.perf_counter() - begin

    def evaluate(self, expression):
        """Return the value of a JavaScript expression, awaited."""
        result = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def click(self, selector):
        """Click where an element is, as a mouse does."""
        place = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=place[0],
                y=place[1],
                button="left",
                clickCount=1,
            )

    def show(self, width=1100, height=800, dark=False, script=True):
        """Set the window's size, the colour scheme, and whether scripts run."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def screenshot(self, path, whole=True):
        """Write a picture of the page."""
        # Without them the picture is as wide as the page.
        self.call("Emulation.setScrollbarsHidden", hidden=True)
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self):
        """Return what the console was told, refused loads included."""
        entries = [e["entry"]["text"] for e in self.seen("Log.entryAdded")]
        said = [str(e["args"]) for e in self.seen("Runtime.consoleAPICalled")]
        thrown = [str(e) for e in self.seen("Runtime.exceptionThrown")]
        return entries + said + thrown

    def requests(self):
        """Return the addresses that were asked for."""
        return [e["request"]["url"] for e in self.seen("Network.requestWillBeSent")]

    def _attach(self):
        targets = self.call("Target.getTargets", on_tab=False)["targetInfos"]
        tab = next(target for target in targets if target["type"] == "page")
        self._session = self.call(
            "Target.attachToTarget",
            on_tab=False,
            targetId=tab["targetId"],
            flatten=True,
        )["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def _wait(self, find):
        end = time.monotonic() + self.timeout
        while (found := find()) is None:
            ready, _, _ = select.select([self._read], [], [], end - time.monotonic())
            if not ready:
                raise TimeoutError(f"Chromium was silent for {self.timeout} seconds.")
            self._take(os.read(self._read, 1 << 20))
        return found

    def _take(self, data):
        if not data:
            raise OSError("Chromium has ended.")
        *messages, self._buffer = (self._buffer + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._replies[message["id"]] = message
            else:
                self.events.append(message)


def _pipe():
    """Return a pipe whose descriptors are not those that Chromium talks on."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved
