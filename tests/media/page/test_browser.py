"""The page in headless Chromium, opened from disk."""

import json
import pathlib

import pytest

from pipelines.media import description, judgement, tune_texts
from pipelines.media.page import judged, writing
from pipelines.media.page.judged import Judged
from tests.support import browser
from tests.support.pieces import drums, tune

pytestmark = pytest.mark.slow

DESKTOP, PHONE = (1280, 900), (390, 844)
EVIL = "<img src=x onerror=window.ran=1><script>window.ran=1<∕script>"
# What a keyboard has to reach.
CONTROLS = "a[href], button:not(:disabled), input:not(:disabled), [tabindex='0']"


@pytest.fixture(scope="module")
def chromium():
    yield from browser.chromium()


@pytest.fixture(scope="module")
def page_path(tmp_path_factory):
    """A page with a tune, an evil name, an interpolation, a reconstruction, and what is silent."""
    folder = tmp_path_factory.mktemp("pages") / "mu#sic & more"
    (folder / "inputs").mkdir(parents=True)
    beat = [(at / 2, 36 + 2 * (at % 2), 60 + 10 * at) for at in range(6)]
    for number in range(3):
        browser.write_piece(folder / f"way{number}.mid", drums(beat[number:]))
    browser.write_piece(folder / "copy.mid", drums(beat[1:]))
    browser.write_piece(folder / "inputs" / "beat.mid", drums(beat))
    melody = tune([(62 + 2 * at, 4 * at, 4) for at in range(8)])
    browser.write_piece(folder / "reel.mid", melody)
    (folder / "reel.abc").write_text(
        "X:1\nT:A reel\nM:4/4\nL:1/8\nQ:1/4=120\nK:C\nD2E2^F2^G2|^A2c2d2e2|]\n"
    )
    # An upbeat of a quarter, which the reader plays in the fourth quarter of a whole bar.
    upbeat = "X:1\nT:Upbeat\nM:4/4\nL:1/4\nQ:1/4=120\nK:C\nC|DEFG|ABcd|efga|]\n"
    (folder / "upbeat.abc").write_text(upbeat)
    browser.write_sound(folder / "upbeat.wav", tune([(60, 0, 64)]))
    browser.write_piece(folder / f"{EVIL}.mid", drums(beat))
    browser.write_piece(folder / "silent.mid", drums(beat), sound=False)
    (folder / "damaged.mid").write_bytes(b"MThd")
    way = [
        description.Description(
            f"way{number}.mid",
            "interpolate",
            {"seed": 7},
            ("beat.mid", EVIL),
            ("inputs/beat.mid", "inputs/beat.mid"),
            series="s",
            position=(number,),
        )
        for number in range(3)
    ]
    copy = description.Description(
        "copy.mid", "reconstruct", {"seed": 7}, ("beat.mid",), ("inputs/beat.mid",)
    )
    description.add(folder, [*way, copy])
    writing.write(str(folder))
    return folder / "index.html"


@pytest.fixture
def opened(chromium, page_path):
    """Opens the page; fails where it said or asked for something that it should not."""
    pages, wrong, asked = [], [], []

    def open_page(path=page_path, size=DESKTOP, scheme="light"):
        page = chromium.new_page(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        pages.append(page)
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        # The page keeps its audio element to itself.
        page.add_init_script(
            "const play = HTMLMediaElement.prototype.play;"
            "HTMLMediaElement.prototype.play = function () { window.heard = this;"
            " return play.call(this); };"
        )
        page.goto(path.as_uri())
        return page

    yield open_page
    for page in pages:
        page.close()
    assert not wrong
    # Its own files, and the empty icon.
    folder = page_path.parent.parent.as_uri()
    assert not [url for url in asked if not url.startswith((folder, "data:"))]


def card(page, title):
    """A card of the page, scrolled to, by the begin of its heading."""
    found = page.locator("article").filter(has=page.locator("h2", has_text=title)).first
    found.scroll_into_view_if_needed()
    found.locator(".track").first.wait_for()
    return found


def scroll_through(page):
    """Scrolls to every card, so that all are drawn."""
    for each in page.locator("article").all():
        each.scroll_into_view_if_needed()
        each.locator(".track").first.wait_for()


def until(page, condition):
    """Waits for a condition in the page, whose policy forbids Playwright's own way to wait."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def cursor(place, which=".roll"):
    return float(place.locator(f"{which} .cursor").first.get_attribute("x1"))


def test_it_shows_every_piece_and_runs_nothing_of_a_name(opened):
    page = opened()
    scroll_through(page)
    assert page.locator("#count").inner_text() == "7 pieces"
    headings = page.locator("h2").all_text_contents()
    assert EVIL in headings and f"From beat.mid to {EVIL}" in headings
    assert page.evaluate("window.ran") is None
    assert page.locator("article img").count() == 0
    # The roll of each of eight players (a reconstruction has two) but the damaged one.
    assert page.locator(".roll svg").count() == 7
    assert page.locator(".score svg").count() == 2
    assert page.locator(".score svg .abcjs-note").count() == 8 + 13
    # The title of a tune is its heading, and is not in its score again.
    assert "A reel" in headings
    assert "A reel" not in "".join(page.locator(".score").all_text_contents())


def test_play_sounds_and_moves_the_cursor_and_pause_stops(opened):
    page = opened()
    reel = card(page, "reel")
    reel.get_by_role("button", name="Play").click()
    until(page, "window.heard && window.heard.currentTime > 0.7")
    assert not page.evaluate("window.heard.paused")
    until(page, "document.querySelector('.score .cursor').getAttribute('visibility')")
    assert cursor(reel) > 0.5
    begin = cursor(reel, ".score")
    until(page, "window.heard.currentTime > 1.6")
    # Two quarters later, the score's cursor is at a later note.
    assert cursor(reel, ".score") > begin
    reel.get_by_role("button", name="Pause").click()
    until(page, "window.heard.paused")
    at, shown = page.evaluate("window.heard.currentTime"), cursor(reel)
    page.wait_for_timeout(300)
    assert page.evaluate("window.heard.currentTime") == at
    assert cursor(reel) == pytest.approx(shown, abs=0.1)
    assert reel.get_by_role("button", name="Play").is_visible()


def test_the_cursor_of_the_score_waits_for_an_upbeat(opened):
    page = opened()
    upbeat = card(page, "Upbeat")
    notes = [
        (box["x"], box["x"] + box["width"])
        for box in (note.bounding_box() for note in upbeat.locator(".abcjs-note").all())
    ]
    position = upbeat.get_by_label("Position in Upbeat")
    line = upbeat.locator(".score .cursor")
    # The upbeat sounds from 1.5 s, and then a note every half second.
    for seconds, note in ((0.2, 0), (1.4, 0), (1.6, 0), (2.2, 1), (4.2, 5)):
        position.fill(str(seconds))
        left = line.bounding_box()["x"]
        assert notes[note][0] - 8 < left < notes[note][1], (seconds, note)


def test_one_piece_sounds_at_a_time(opened):
    page = opened()
    first, second = card(page, "Reconstruction"), card(page, "reel")
    first.get_by_role("button", name="Play copy").click()
    until(page, "window.heard && window.heard.currentTime > 0.2")
    second.get_by_role("button", name="Play").click()
    until(page, "window.heard.src.endsWith('reel.wav') && !window.heard.paused")
    # The browser tells of the sound, which marks the button, after it has begun.
    second.get_by_role("button", name="Pause").wait_for()
    assert page.locator("button[aria-pressed=true]").count() == 1
    assert first.get_by_role("button", name="Play copy").is_visible()


def test_volume_tempo_and_loop_hold_for_what_sounds_and_what_comes(opened):
    page = opened()
    page.get_by_label("Tempo").fill("1.5")
    page.get_by_label("Volume").fill("0.25")
    reel = card(page, "reel")
    reel.get_by_role("button", name="Play").click()
    until(page, "window.heard && window.heard.currentTime > 0.1")
    state = "[heard.playbackRate, heard.volume, heard.loop, heard.preservesPitch]"
    assert page.evaluate(state) == [1.5, 0.25, False, True]
    page.get_by_label("Tempo").fill("0.5")
    page.get_by_label("Loop").check()
    assert page.evaluate(state) == [0.5, 0.25, True, True]
    assert page.locator("#tempo-shown").inner_text() == "50%"


def test_a_piece_plays_to_its_end_and_again(opened):
    page = opened()
    copy = card(page, "Reconstruction")
    page.get_by_label("Tempo").fill("1.5")
    copy.get_by_label("Position in copy").fill("2.4")
    copy.get_by_role("button", name="Play copy").click()
    until(page, "window.heard && window.heard.ended")
    copy.get_by_role("button", name="Play copy").wait_for()
    assert copy.get_by_label("Position in copy").input_value() == "0"
    copy.get_by_role("button", name="Play copy").click()
    until(page, "!window.heard.paused && window.heard.currentTime < 2")


def test_the_slider_of_an_interpolation_goes_on_at_the_same_place(opened):
    page = opened()
    way = card(page, "From beat.mid")
    slider = way.get_by_label("Position", exact=False).first
    assert way.locator(".axis output").inner_text() == "0% beat.mid"
    way.get_by_role("button", name="Play").click()
    until(page, "window.heard && window.heard.currentTime > 1")
    slider.press("ArrowRight")
    until(page, "window.heard.src.endsWith('way1.wav') && window.heard.currentTime > 1")
    assert not page.evaluate("window.heard.paused")
    assert way.locator(".axis output").inner_text() == "50%"
    slider.press("End")
    assert way.locator(".axis output").inner_text() == f"100% {EVIL}"
    assert way.get_by_role("link", name="Download MIDI: way2.mid").is_visible()
    until(page, "window.heard.src.endsWith('way2.wav')")


def test_what_differs_in_a_reconstruction_is_framed(opened):
    page = opened()
    copy = card(page, "Reconstruction of beat.mid")
    # The first kick of the original is missing in the copy, which has nothing new.
    original, again = copy.locator(".track").all()
    marked = original.locator("path.marked")
    assert marked.count() == 1
    assert marked.get_attribute("d").count("M") == 1
    assert again.locator("path.marked").count() == 0


def test_without_sound_the_button_is_off_and_says_why(opened):
    page = opened()
    silent = card(page, "silent")
    assert silent.get_by_role("button", name="Play").is_disabled()
    assert (
        "There is no sound file (.mp3, .flac or .wav) of this name beside it."
        in silent.inner_text()
    )
    damaged = card(page, "damaged")
    assert "It cannot be read" in damaged.inner_text()
    assert damaged.get_by_role("link", name="Download MIDI").is_visible()


def test_downloads_are_the_files(opened, page_path):
    page = opened()
    evil = card(page, EVIL)
    link = evil.get_by_role("link", name="Download MIDI")
    assert link.evaluate("link => link.href") == (page_path.parent / f"{EVIL}.mid").as_uri()
    upbeat = card(page, "Upbeat")
    for kind, begin in (("MIDI", b"MThd"), ("ABC", b"X:1\nT:Upbeat\nM:4/4\n")):
        with page.expect_download() as saving:
            upbeat.get_by_role("link", name=f"Download {kind}").click()
        assert saving.value.suggested_filename.startswith("Upbeat.")
        assert pathlib.Path(saving.value.path()).read_bytes().startswith(begin)


def test_the_keyboard_reaches_everything(opened):
    page = opened()
    scroll_through(page)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    wanted = page.evaluate(
        "(controls) => [...document.querySelectorAll(controls)]"
        ".map((each, number) => (each.dataset.at = number))",
        CONTROLS,
    )
    reached = []
    for _ in range(len(wanted) + 5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.at"))
    assert [int(at) for at in reached if at is not None][: len(wanted)] == wanted
    # Space and Enter press the button that has the focus; arrows move a slider.
    reel = card(page, "reel")
    reel.get_by_role("button", name="Play").focus()
    page.keyboard.press("Space")
    until(page, "window.heard && window.heard.currentTime > 0.2")
    page.keyboard.press("Enter")
    until(page, "window.heard.paused")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_axe_finds_nothing_serious(opened, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(size=size, scheme=scheme)
    scroll_through(page)
    found = axe.run(page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)


def test_nothing_overflows_a_phone(opened):
    page = opened(size=PHONE)
    scroll_through(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    beyond = page.evaluate(
        "[...document.querySelectorAll('body *')]"
        ".filter((each) => !each.closest('.scroller, .score'))"
        ".filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5)"
        ".map((each) => each.outerHTML)"
    )
    assert not beyond


def test_of_a_thousand_pieces_those_that_are_scrolled_to_are_drawn(opened, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "pages0" / "many"
    folder.mkdir()
    browser.write_piece(folder / "0000.mid", drums([(at / 4, 42, 100) for at in range(64)]), False)
    data = (folder / "0000.mid").read_bytes()
    for number in range(1, 1000):
        (folder / f"{number:04d}.mid").write_bytes(data)
    writing.write(str(folder))
    page = opened(folder / "index.html")
    page.locator(".track").first.wait_for()
    assert page.locator("article").count() == 1000
    assert page.locator(".track").count() < 20
    page.keyboard.press("End")
    last = page.locator("article").last
    last.locator(".track").wait_for()
    assert page.locator(".track").count() < 100
    page.get_by_label("Find").fill("0512")
    assert page.locator("#count").inner_text() == "1 of 1000 pieces"
    page.locator("article:not([hidden]) .track").wait_for()


@pytest.mark.parametrize(
    "key, notes",
    [
        ("C octave=9999999", "CDEF|"),
        ("C oct\u200bave=9999999", "CDEF|"),
        ("C stafflines=999999", "CDEF|"),
        ("C", "[" + "CDEFGAB" * 1_000 + "]|"),
        ("C", "(&C&D)" * 1_000 + "|"),
        ("C", "c" + "'" * 9_000 + "|"),
    ],
    ids=["octave", "hidden octave", "staff lines", "chord", "overlays", "ledger lines"],
)
def test_notation_that_would_stand_the_page_still_is_not_engraved(
    opened, tmp_path_factory, request, key, notes
):
    folder = tmp_path_factory.getbasetemp() / "pages0" / request.node.callspec.id
    folder.mkdir()
    text = f"X:1\nT:A\nM:4/4\nL:1/8\nK:{key}\n{notes}\n"
    (folder / "a.abc").write_text(text)
    plain = "X:1\nT:B\nM:4/4\nL:1/8\nK:C octave=-1\nCDEF GABc|\"^[a long remark\"c''b''|\n"
    (folder / "b.abc").write_text(plain)
    browser.write_piece(folder / "a.mid", drums([(0.0, 36, 100)]))
    writing.write(str(folder))
    page = opened(folder / "index.html")
    dense = page.locator("article").first
    dense.locator(".track").first.wait_for()
    assert "too dense to be shown as a score" in dense.inner_text()
    assert not dense.locator(".score").count()
    assert card(page, "B").locator(".score svg").count() == 1


@pytest.fixture(scope="module")
def judged_path(page_path):
    """A page of a judged tune with an upbeat, a repeat and endings, and of one in rests."""
    folder = page_path.parent.parent / "judged"
    folder.mkdir()
    head = "M:4/4\nL:1/8\nQ:1/4=120\nK:C\n"
    tunes = f"X:1\nT:Wrong\n{head}C2|D8|E6|F8|1 G6:|2 A8|]\n\nX:2\nT:Rests\n{head}C8|Z2|D8|]\n"
    (folder / "tunes.abc").write_text(tunes)
    opinions = (
        judgement.Opinion("rhythm", 1.0, "wrong", True, (judgement.Mark(2, f"too short {EVIL}"),)),
        judgement.Opinion(
            "melody", 2.5, "odd", False, tuple(judgement.Mark(bar, "odd") for bar in (2, 5))
        ),
        judgement.Opinion("mode", None, "cannot be judged: why not"),
    )
    path = str(folder / "tunes.abc")
    found = [
        Judged(path, number, text, "rejected: rhythm", opinions)
        for number, text in enumerate(tune_texts.read(path).tunes, start=1)
    ]
    return pathlib.Path(judged.write(str(folder / "page"), found))


def test_bars_are_marked_on_roll_and_score(opened, judged_path):
    page = opened(judged_path)
    found = card(page, "Wrong")
    # The third bar is played twice and marked by two criteria, the sixth once by one.
    stripes = found.locator(".roll .judged")
    assert stripes.count() == 5
    titles = found.locator(".roll .judged title").all_text_contents()
    assert sorted(set(titles)) == [
        "bar 3, melody: odd",
        f"bar 3, rhythm: too short {EVIL}",
        "bar 6, melody: odd",
    ]
    # In seconds: after a bar with the upbeat and a full one; six eighths last a second and a half.
    assert [float(stripes.nth(0).get_attribute(name)) for name in ("x", "width")] == [4.0, 1.5]
    marked = found.locator(".score .judged")
    assert marked.count() == 3
    inside = page.evaluate(
        """() => {
          const box = (shape) => shape.getBoundingClientRect();
          const stripes = [...document.querySelectorAll("article .score .judged")].map(box);
          const notes = [...document.querySelectorAll("article .score .abcjs-note")].map(box);
          const middles = notes.map((note) => note.x + note.width / 2);
          return stripes.map((stripe) => middles.flatMap((x, at) =>
            x > stripe.x && x < stripe.right && notes[at].y < stripe.bottom + 40
            && notes[at].bottom > stripe.y - 40 ? [at] : []));
        }"""
    )
    assert inside[:2] == [[2], [2]]
    assert inside[2] == [5]


def test_verdicts_are_told_as_text(opened, judged_path):
    page = opened(judged_path)
    found = card(page, "Wrong")
    assert found.locator("caption").text_content() == "Verdict: rejected: rhythm"
    rows = found.locator(".verdict tbody tr")
    assert [rows.nth(row).locator("th").text_content() for row in range(3)] == [
        "rhythm",
        "melody",
        "mode",
    ]
    assert [rows.nth(row).locator(".score-of").text_content() for row in range(3)] == [
        "1.0",
        "2.5",
        "–",
    ]
    assert rows.nth(0).locator("li").all_text_contents() == [f"bar 3: too short {EVIL}"]
    assert rows.nth(1).locator("li").all_text_contents() == ["bar 3: odd", "bar 6: odd"]


def test_bars_that_the_engraver_counts_otherwise_are_not_marked_on_the_score(opened, judged_path):
    found = card(opened(judged_path), "Rests")
    assert found.locator(".roll .judged").count() == 2
    assert found.locator(".score .judged").count() == 0
    assert found.locator(".score svg").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verdicts_fit_a_phone_and_axe_finds_nothing_serious(opened, judged_path, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(judged_path, size=PHONE, scheme=scheme)
    scroll_through(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    tables = page.locator(".verdict")
    assert all(
        tables.nth(each).evaluate("table => table.scrollWidth <= table.clientWidth")
        for each in range(tables.count())
    )
    found = axe.run(page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)
