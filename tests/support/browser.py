# SPDX-License-Identifier: Apache-2.0
"""Chromium without a window, driven by Debian's Selenium and its driver: a page as a person gets it, at any size and in both colours."""

import json
import shutil

import pytest

from support.wait import wait_until

PHONE, DESKTOP = (360, 740), (1280, 900)


class Browser:
    def __init__(self):
        if not shutil.which("chromium") or not shutil.which("chromedriver"):
            pytest.skip("Chromium is not here (tests/support/install browser)")
        webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not here (tests/support/install browser)")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.chrome.service.Service(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)

    def close(self):
        self.driver.quit()

    def open(self, address, size=DESKTOP, is_dark=False):
        self.look(size, is_dark)
        self.driver.get(address)
        self.requests()
        self.complaints()
        self.driver.get(address)

    def look(self, size, is_dark):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 500})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]})

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, selector="body"):
        """As it is shown; "" when there is no such element."""
        return self.run("const node = document.querySelector(arguments[0]); return node ? node.innerText : ''", selector)

    def wait_text(self, selector, *words, absent=(), deadline_s=60):
        last = []

        def shown():
            last[:] = [self.text(selector)]
            return all(word in last[0] for word in words) and not any(word in last[0] for word in absent)
        wait_until(shown, lambda: f"{selector} to say {words} without {absent}, now: {last}\n{self.text()[:3000]}", deadline_s)
        return last[0]

    def overflow(self):
        """By how many pixels the page is wider than the window."""
        return self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def requests(self):
        """The addresses asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]

    def complaints(self):
        """What the console has said since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def picture(self, path):
        """The whole page, not only what fits the window."""
        height = self.run("return document.documentElement.scrollHeight")
        size = self.run("return [window.innerWidth, window.innerHeight]")
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": size[0], "height": height, "deviceScaleFactor": 1, "mobile": False})
        self.driver.save_screenshot(str(path))
