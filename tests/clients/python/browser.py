"""A browser without a screen: it keeps cookies, reads the form of a page and follows no redirect out."""

from html.parser import HTMLParser
from typing import NamedTuple

import httpx2


class Form(HTMLParser):
    """The one form of a page: where it is sent, its fields, and its boxes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: list[tuple[str, str]] = []
        self.boxes: list[tuple[str, str, bool]] = []
        self.feed(html)
        assert self.action is not None, f"no form: {html}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self.action = attributes["action"]
        elif tag == "input":
            pair = (attributes["name"] or "", attributes.get("value") or "")
            if attributes.get("type") != "checkbox":
                self.fields.append(pair)
            else:
                self.boxes.append((*pair, "checked" in attributes))


class Visit(NamedTuple):
    """Who goes through mock-auth's pages, what that person does not allow, and what they allow that was left out before."""

    user: str
    without: tuple[str, ...] = ()
    tick: tuple[str, ...] = ()


async def authorize(url: str, visit: Visit) -> httpx2.URL:
    """Opens an authorization request; gives the URL that the browser is sent to at the end."""
    async with httpx2.AsyncClient(follow_redirects=False, trust_env=False) as browser:
        who = await browser.get(url)
        consent = await _press(browser, who, ("user", visit.user), visit)
        back = await _press(browser, consent, ("decision", "allow"), visit)
        return back.url.join(back.headers["location"])


async def _press(
    browser: httpx2.AsyncClient, page: httpx2.Response, button: tuple[str, str], visit: Visit
) -> httpx2.Response:
    assert page.status_code == 200, page.text
    form = Form(page.text)
    ticked = [
        (name, value)
        for name, value, checked in form.boxes
        if (checked or value in visit.tick) and value not in visit.without
    ]
    fields = [*form.fields, *ticked, button]
    body = str(httpx2.QueryParams(fields)).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await browser.post(page.url.join(form.action), content=body, headers=headers)
    target = answer.url.join(answer.headers.get("location", ""))
    # A post is answered by a redirect to the next page, and the last one by a redirect out.
    is_within = answer.status_code == 303 and target.netloc == answer.url.netloc
    return await browser.get(target) if is_within else answer
