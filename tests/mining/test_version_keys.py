"""What addresses say of versions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.version_keys import PLACE, address_versions, alternate_versions, page_versions
from mining.version_tokens import language_code, size_words, value_order, without_sizes

SITE = "a.example"


def said(path: str, kind: str) -> set[tuple[str, str]]:
    """(template, value) of a kind."""
    found = address_versions(f"http://{SITE}/{path}", SITE)
    return {(one.template.removeprefix(f"{SITE} /"), one.value) for one in found if one.kind == kind}


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("img/menu_de.png", "language", {("img/menu_{language}", "de")}),
        ("img/menu-pt-BR.png", "language", {("img/menu-{language}", "pt")}),
        ("docs/pt-BR/menu.png", "language", {("docs/{language}/menu", "pt")}),
        ("docs/Deutsch/menu.png", "language", {("docs/{language}/menu", "de")}),
        ("menu.png?lang=fr&id=7", "language", {("/menu&id=7?{language}", "fr")}),
        ("no-entry.png", "language", set()),
        ("it-works.png", "language", set()),
        ("de.png", "language", set()),
        ("lampOn.png", "state", {("/lamp{state 1}", "on")}),
        ("wiring_step-03.png", "step", {("/wiring_step-{step}", "3")}),
        ("img_0003.jpg", "counter", {("/img_{counter}", "3")}),
        ("p/1234567.jpg", "step", set()),
        ("old/new_house.jpg", "state", {("{state 3}/new_house", "old"), ("old/{state 3}_house", "new")}),
        ("house-1920.jpg", "year", {("/house-{year}", "1920")}),
        ("v2.1/x.png", "release", {("{release}/x", "v2.1")}),
        (
            "bird-in-flight.png",
            "variant",
            {("/bird{variant}", "in flight"), ("/bird-in{variant}", "flight"), ("/bird-in-flight{variant}", "")},
        ),
    ],
)
def test_addresses_say_versions(path: str, kind: str, expected: set[tuple[str, str]]) -> None:
    assert {(template.removeprefix("/"), value) for template, value in said(path, kind)} == {
        (template.removeprefix("/"), value) for template, value in expected
    }


@pytest.mark.parametrize(
    ("name", "bare", "size"),
    [
        ("house-300x200", "house", "300x200"),
        ("300px-house", "house", "300px"),
        ("house@2x", "house", "@2x"),
        ("house_thumb", "house", "thumb"),
        ("house-small-red", "house-red", "small"),
        ("thumb", "thumb", "thumb"),
        ("box", "box", ""),
    ],
)
def test_sizes_are_taken_off(name: str, bare: str, size: str) -> None:
    assert without_sizes(name) == bare
    assert size_words(name) == size
    assert without_sizes(bare) == bare


def test_addresses_that_are_none_say_nothing() -> None:
    for url in ("data:image/png;sha256,ab", "http://[broken/x_de.png", "", "mailto:x@a.example"):
        assert address_versions(url, SITE) == []
        assert page_versions(url, SITE, url, 1) == []


def test_queries_of_sizes_do_not_matter_and_others_do() -> None:
    assert said("lamp-on.png?w=300&v=7", "state") == said("lamp-on.png", "state")
    assert said("lamp-on.png?id=7", "state") != said("lamp-on.png", "state")


def test_the_host_may_name_the_language() -> None:
    templates = []
    for language in ("de", "en"):
        found = address_versions(f"http://{language}.a.example/menu.png", SITE)
        one = next(one for one in found if one.kind == "language")
        assert one.value == language
        templates.append(one.template)
    assert len(set(templates)) == 1


def test_pages_meet_by_place_and_by_file_name() -> None:
    german = page_versions("http://a.example/de/start.html", SITE, "http://a.example/i/menu_de.png", 4)
    english = page_versions("http://a.example/en/start.html", SITE, "http://a.example/j/menu_en.png", 5)
    shared = {one.template for one in german} & {one.template for one in english}
    assert len(shared) == 1
    assert PLACE not in shared.pop().split(" ")
    assert {one.value for one in german} == {"de"}
    assert page_versions("http://a.example/start.html", SITE, "http://a.example/menu.png", 4) == []


def test_alternates_meet_under_the_least_of_their_addresses() -> None:
    stated = [("de-AT", "http://b.example/de"), ("en", "http://a.example/en"), ("x-default", "http://0.example/")]
    german = alternate_versions(None, "http://b.example/de", stated, 2)
    english = alternate_versions("fr", "http://a.example/en", stated, 2)
    assert [one.value for one in (*german, *english)] == ["de", "en"]
    assert german[0].template == english[0].template
    assert alternate_versions("en", "http://a.example/en", [], 2) == []
    assert alternate_versions(None, "http://c.example/", stated, 2) == []
    assert alternate_versions("fr", "http://c.example/", stated, 2)[0].value == "fr"


def test_values_stand_in_their_order() -> None:
    assert sorted(["10", "9"], key=lambda value: value_order("step", value)) == ["9", "10"]
    assert sorted(["after", "before"], key=lambda value: value_order("state", value)) == ["before", "after"]
    assert sorted(["winter", "spring"], key=lambda value: value_order("season", value)) == ["spring", "winter"]
    assert sorted(["b", ""], key=lambda value: value_order("variant", value)) == ["", "b"]


def test_codes_and_names_of_languages() -> None:
    assert [language_code(text) for text in ("DE", "zh_Hans", "english", "xx", "deu")] == ["de", "zh", "en", None, None]


@given(st.text(max_size=120), st.text(max_size=60))
def test_any_address_gives_bounded_templates_each_once(path: str, query: str) -> None:
    url = f"http://a.example/{path}?{query}"
    found = [*address_versions(url, SITE), *page_versions(url, SITE, url, 3)]
    assert all(len(one.template) <= 160 and len(one.value) <= 40 for one in found)
    own = address_versions(url, SITE)
    assert len(set(own)) == len(own)
