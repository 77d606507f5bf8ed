"""Only who has the token comes in, from a page of ours, under a name of ours."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from whitecrow.server.headers import SecurityHeaders
from whitecrow.server.security import Guard, cookie_name, cookie_value, matches
from whitecrow.server.settings import Settings

TOKEN = "a-token-of-24-characters"
HOST = "127.0.0.1:8000"


def guarded(**settings):
    async def page(request):
        return PlainTextResponse("in")

    async def socket(websocket):
        await websocket.accept()
        await websocket.close()

    methods = ["GET", "POST", "DELETE"]
    paths = ["/", "/page/{name}", "/api/runs", "/health", "/healthy"]
    app = Starlette(routes=[*(Route(path, page, methods=methods) for path in paths), WebSocketRoute("/ws", socket)])
    app.add_middleware(Guard, settings=Settings(**settings))
    app.add_middleware(SecurityHeaders)
    return app


def cookie(token=TOKEN, port=8000):
    return {"Cookie": f"other=1; {cookie_name(port)}={cookie_value(token)}"}


def bearer(token=TOKEN):
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        bearer(TOKEN[:-1]),
        bearer(TOKEN + "x"),
        bearer("A" + TOKEN[1:]),
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        cookie("another-token-of-24-char"),
        {"Cookie": f"{cookie_name(8000)}={TOKEN}"},
        cookie(port=9000),
        {b"Authorization": b"Bearer \xff\xfe\x00"},
        {b"Cookie": b"whitecrow-8000=\xe9\xff"},
    ],
)
def test_without_the_token_nobody_comes_in(call, headers):
    answer = call(guarded(token=TOKEN), "GET", "/api/runs", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert TOKEN not in answer.text


def test_the_token_opens_by_header_and_by_cookie(call):
    app = guarded(token=TOKEN)
    assert call(app, "GET", "/api/runs", headers=bearer()).text == "in"
    assert call(app, "GET", "/api/runs", headers={"authorization": f"bearer {TOKEN}"}).text == "in"
    assert call(app, "GET", "/api/runs", headers=cookie()).text == "in"


def test_a_token_of_any_letters_works(call):
    token = "schlüssel-à-" + "鍵" * 8 + "à"
    headers = {b"Authorization": b"Bearer " + token.encode()}
    assert call(guarded(token=token), "GET", "/api/runs", headers=headers).text == "in"
    assert call(guarded(token=token), "GET", "/api/runs", headers=bearer()).status_code == 401


def test_secrets_are_compared_whatever_they_hold():
    assert matches("é", "é")
    assert matches(b"a", "a")
    assert not matches("é", "e")
    assert not matches("\ud800", "x")


def test_health_is_open_and_its_namesakes_are_not(call):
    app = guarded(token=TOKEN)
    assert call(app, "GET", "/health").text == "in"
    assert call(app, "GET", "/healthy").status_code == 401


def test_a_browser_opens_a_page_once_with_the_token_and_keeps_a_cookie(call):
    app = guarded(token=TOKEN)
    answer = call(app, "GET", f"/page/a b?run=3&token={TOKEN}&t=0.5")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/page/a%20b?run=3&t=0.5"
    given = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(given.split("; "))
    assert "Secure" not in given
    assert TOKEN not in given
    assert call(app, "GET", "/", headers={"Cookie": given.partition(";")[0]}).text == "in"
    assert "Secure" in call(app, "GET", f"/?token={TOKEN}", base=f"https://{HOST}").headers["Set-Cookie"]


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example"])
def test_the_redirect_never_leaves_the_server(call, path):
    answer = call(guarded(token=TOKEN), "GET", f"http://{HOST}{path}?token={TOKEN}")
    location = answer.headers["Location"]
    assert location.startswith("/")
    assert location[1:2] not in ("/", "\\")


def test_a_wrong_token_in_the_address_gives_no_cookie(call):
    app = guarded(token=TOKEN)
    answer = call(app, "GET", "/?token=wrong")
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert call(app, "GET", f"/api/runs?token={TOKEN}").status_code == 401
    assert call(app, "POST", f"/?token={TOKEN}").status_code == 401


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_another_web_site_changes_nothing_with_the_cookie(call, method):
    app = guarded(token=TOKEN)
    for told in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://{HOST}.evil.example"},
        {"Origin": "http://127.0.0.1:9000"},
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "cross-site"},
    ):
        assert call(app, method, "/api/runs", headers=cookie() | told).status_code == 403, told
    for told in ({"Origin": f"http://{HOST}"}, {"Origin": f"https://{HOST}"}, {"Sec-Fetch-Site": "same-origin"}):
        assert call(app, method, "/api/runs", headers=cookie() | told).text == "in"
    assert call(app, method, "/api/runs", headers=bearer() | {"Origin": "https://evil.example"}).text == "in"


def test_without_a_token_another_web_site_changes_nothing_either(call):
    app = guarded()
    assert call(app, "POST", "/api/runs", headers={"Origin": "https://evil.example"}).status_code == 403
    assert call(app, "POST", "/api/runs").text == "in"
    assert call(app, "GET", "/api/runs").text == "in"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "", "127.0.0.1@evil", "[", "[::2]"]
)
def test_a_name_that_is_rebound_to_loopback_is_refused(call, host):
    answer = call(guarded(), "GET", "/health", headers={"Host": host})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:whitecrow:problem:host"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"])
def test_the_names_of_loopback_are_accepted(call, host):
    assert call(guarded(), "GET", "/", headers={"Host": host}).text == "in"


def test_websockets_are_guarded_like_requests(connect):
    app, host = guarded(token=TOKEN), ("Host", HOST)
    opened = ["websocket.accept", "websocket.close"]
    assert connect(app, "/ws", [host]) == ["websocket.close"]
    assert connect(app, "/ws", [host, *bearer("wrong-token-of-24-charac").items()]) == ["websocket.close"]
    assert connect(app, "/ws", [host, *bearer().items()]) == opened
    assert connect(app, "/ws", [host, *cookie().items()]) == ["websocket.close"]
    assert connect(app, "/ws", [host, *cookie().items(), ("Origin", f"http://{HOST}")]) == opened
    assert connect(app, "/ws", [host, *cookie().items(), ("Origin", "http://evil.example")]) == ["websocket.close"]
    assert connect(guarded(), "/ws", [host, ("Origin", "http://evil.example")]) == ["websocket.close"]
    assert connect(guarded(), "/ws", [("Host", "evil.example")]) == ["websocket.close"]


def policy(answer):
    parts = (part.split() for part in answer.headers["Content-Security-Policy"].split("; "))
    return {name: values for name, *values in parts}


def test_no_outside_host_is_allowed_to_pages_and_nothing_to_data(call):
    app = guarded(token=TOKEN)
    page, data = (call(app, "GET", path, headers=bearer()) for path in ("/", "/api/runs"))
    assert policy(page)["default-src"] == ["'self'"]
    assert policy(page)["frame-ancestors"] == ["'none'"]
    assert {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"} >= {
        value for values in policy(page).values() for value in values
    }
    assert policy(data)["default-src"] == ["'none'"]
    assert data.headers["Cache-Control"] == "no-store"
    assert "Cache-Control" not in page.headers


def test_refusals_carry_the_headers_too(call):
    for answer in (call(guarded(token=TOKEN), "GET", "/api/runs"), call(guarded(), "GET", "/", headers={"Host": "x"})):
        for name in (
            "X-Content-Type-Options",
            "Referrer-Policy",
            "Cross-Origin-Opener-Policy",
            "Cross-Origin-Resource-Policy",
            "Content-Security-Policy",
            "X-Frame-Options",
        ):
            assert name in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
