"""A page of a real browser that must load nothing from elsewhere and raise nothing."""

from __future__ import annotations


class Watched:
    """A page that must load nothing from elsewhere and raise nothing; `open` goes to a path and waits for data."""

    def __init__(self, browser, url, **options):
        self.url = url.rstrip("/")
        self.context = browser.new_context(**{"viewport": {"width": 1440, "height": 1000}, "bypass_csp": True, **options})
        self.context.set_default_timeout(30_000)
        self.page = self.context.new_page()
        self.errors, self.elsewhere = [], []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("request", self._went)

    def _went(self, request):
        if not request.url.startswith((self.url + "/", "blob:", "data:")):
            self.elsewhere.append(request.url)

    def open(self, path="/"):
        self.page.goto(self.url + path)
        self.until("window.__seawall && window.__seawall.view && document.querySelector('main h1')")
        return self.page

    def until(self, condition):
        """Waits for something in the page to be true."""
        self.page.wait_for_function(f"() => Boolean({condition})")

    def close(self):
        self.context.close()
        assert not self.elsewhere, f"requests left the host: {self.elsewhere}"
        assert not self.errors, f"errors in the page: {self.errors}"
