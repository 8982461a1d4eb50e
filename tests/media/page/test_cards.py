"""Which pieces are shown together, in which order."""

from pipelines.media.description import Description
from pipelines.media.page.cards import Axis, arrange
from pipelines.media.page.folder import Piece


def described(*pieces, inputs=()):
    """The cards of pieces with these descriptions, given in the order of their files."""
    known = {each.file: each for each in pieces}
    kept = {name: Piece(name) for name in inputs}
    return arrange([Piece(name) for name in sorted(known)], known, kept)


def test_a_plain_piece_is_called_by_its_title_or_its_name():
    cards = arrange([Piece("a/x.mid"), Piece("y.abc", title="The Maid")], {}, {})
    assert [card.title for card in cards] == ["x", "The Maid"]
    assert [card.facts for card in cards] == [[], [("file", "y.abc")]]


def test_an_interpolation_is_one_player_in_the_order_of_its_positions():
    way = [
        Description(f"{name}.mid", "interpolate", {"seed": 7}, ("p", "q"), series="s", position=at)
        for name, at in (("a", (2,)), ("b", (0,)), ("c", (1,)))
    ]
    [card] = described(*way)
    assert card.title == "From p to q"
    assert [piece.file for piece in card.tracks[0].pieces] == ["b.mid", "c.mid", "a.mid"]
    assert card.axes == [Axis("position", ["0% p", "50%", "100% q"])]
    assert card.facts == [("mode", "interpolate"), ("seed", "7"), ("made from", "p, q")]


def test_two_commands_are_two_cards():
    pieces = [
        Description(f"{at}.mid", "interpolate", {}, ("p", "q"), series=str(at % 2), position=(at,))
        for at in range(4)
    ]
    cards = described(*pieces)
    files = [[piece.file for piece in card.tracks[0].pieces] for card in cards]
    assert files == [["0.mid", "2.mid"], ["1.mid", "3.mid"]]


def test_samples_are_cards_of_their_own():
    samples = [
        Description(f"{at}.mid", "sample", {"temperature": 0.5}, series="s", position=(at,))
        for at in range(2)
    ]
    cards = described(*samples)
    assert [card.title for card in cards] == ["Sample 1", "Sample 2"]
    assert ("temperature", "0.5") in cards[0].facts
    assert not cards[0].axes


def test_a_reconstruction_comes_after_its_original():
    copy = Description("c.mid", "reconstruct", {}, ("p.mid",), ("inputs/p.mid",))
    [card] = described(copy, inputs=["inputs/p.mid"])
    assert [track.label for track in card.tracks] == ["original", "copy"]
    assert [track.pieces[0].file for track in card.tracks] == ["inputs/p.mid", "c.mid"]
    assert card.compared
    # Without its original it is a piece like others.
    [card] = described(copy)
    assert [track.label for track in card.tracks] == [""]
    assert not card.compared


def test_an_edit_has_a_slider_over_its_amounts():
    edits = [
        Description(
            f"{name}.mid",
            "edit",
            {},
            ("p.mid",),
            ("inputs/p.mid",),
            {"swing": amount, "style:jazz": 1.0},
            "s",
            (at,),
        )
        for at, (name, amount) in enumerate([("b", -2.0), ("a", 0.5)])
    ]
    [card] = described(*edits, inputs=["inputs/p.mid"])
    assert card.title == "p.mid, edited: swing, style:jazz"
    assert card.axes == [
        Axis("amount", ["swing −2.00, style:jazz +1.00", "swing +0.50, style:jazz +1.00"])
    ]
    assert [len(track.pieces) for track in card.tracks] == [1, 2]


def test_a_grid_has_two_sliders():
    corners = ("a", "b", "c", "d")
    cells = [
        Description(f"{at}.mid", "grid", {}, corners, series="s", position=divmod(at, 3))
        for at in range(9)
    ]
    [card] = described(*cells)
    assert card.axes == [
        Axis("down", ["0% a", "50%", "100% c"]),
        Axis("right", ["0% a", "50%", "100% b"]),
    ]
    assert [piece.file for piece in card.tracks[0].pieces] == [f"{at}.mid" for at in range(9)]


def test_a_grid_that_lost_a_piece_has_one_slider():
    cells = [
        Description(f"{at}.mid", "grid", {}, ("a",) * 4, series="s", position=divmod(at, 2))
        for at in range(3)
    ]
    [card] = described(*cells)
    assert [len(axis.stops) for axis in card.axes] == [3]


def test_a_mode_that_is_not_known_is_shown_all_the_same():
    [card] = described(Description("x.mid", "continue", {"bars": [1, 2]}))
    assert card.title == "continue"
    assert ("bars", "[1, 2]") in card.facts


def test_a_tune_with_a_title_is_called_by_it_and_what_is_not_known_is_left_out():
    said = Description("x.mid", "sample", {"rhythm": "", "grammar": True, "step": 0}, position=(4,))
    [card] = arrange([Piece("x.mid", title="The Maid")], {"x.mid": said}, {})
    assert card.title == "The Maid"
    assert card.facts == [
        ("mode", "sample"),
        ("grammar", "True"),
        ("step", "0"),
        ("file", "x.mid"),
    ]
