"""What the installer tells pip and uv of each other's configuration."""

import os

import pytest

from pipelines.runtime import install


def test_the_environment_is_stronger_than_install_and_install_than_global():
    listed = "\n".join(
        (
            ":env:.timeout='180'",
            "global.cert='/etc/ca.pem'",
            "global.index-url='https://global/simple'",
            "install.index-url='https://install/simple'",
            "global.timeout='5'",
            "freeze.timeout='6'",
            "no line of a configuration",
            "global.odd=not a literal",
        )
    )
    assert install.pip_configuration(listed) == {
        "cert": "/etc/ca.pem",
        "index-url": "https://install/simple",
        "timeout": "180",
    }


def test_uv_is_told_what_pip_is_configured_with():
    pip = {
        "index-url": "https://a/simple",
        "extra-index-url": "\nhttps://b/simple\nhttps://c/simple",
        "find-links": "/wheels /more",
        "trusted-host": "a\nb",
        "cert": "/etc/ca.pem",
        "timeout": "180",
    }
    assert install.environment_of_uv(pip, {"HOME": "/h"}) == {
        "HOME": "/h",
        "UV_DEFAULT_INDEX": "https://a/simple",
        "UV_INDEX": "https://b/simple https://c/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INSECURE_HOST": "a b",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_what_uv_is_configured_with_stays(name):
    own = {name: "https://own/simple"}
    assert install.environment_of_uv({"index-url": "https://a/simple"}, own) == own


def test_the_environment_of_a_process_will_do(monkeypatch):
    monkeypatch.setenv("UV_CACHE_DIR", "/cache")
    told = install.environment_of_uv({"cert": "/etc/ca.pem", "find-links": "/w"}, os.environ)
    assert {"UV_CACHE_DIR", "UV_FIND_LINKS", "SSL_CERT_FILE"} <= told.keys()


def test_pip_is_told_of_the_indexes_of_uv_where_it_has_none():
    own = {"UV_INDEX_URL": "https://a/simple", "UV_INDEX": "corp=https://b/simple https://c/?d=e"}
    assert install.environment_of_pip({}, own) == {
        **own,
        "PIP_INDEX_URL": "https://a/simple",
        "PIP_EXTRA_INDEX_URL": "https://b/simple https://c/?d=e",
    }
    assert install.environment_of_pip({"index-url": "x", "extra-index-url": "y"}, own) == own
