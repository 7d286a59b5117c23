"""The one line that a server needs for jobs without code of their own, held against FLARE's own authorizer."""

import json
import re
from pathlib import Path

import pytest
from nvflare.apis.fl_exception import UnsafeComponentError
from nvflare.apis.workspace import Workspace
from nvflare.app_common.widgets.component_path_authorizer import CLASS_ALLOW_LIST, ComponentPathAuthorizer

from secagg.adapters.flare import controller, site

PAGE = Path(__file__).parents[3] / "docs/flare.md"
OURS = [controller.SecAggController, site.Participant, site.DataFilter, site.ResultFilter]


@pytest.fixture
def builds(tmp_path):
    """allow-list → whether FLARE builds a class in a job without code of its own."""

    def make(allowed):
        for folder in ("startup", "local"):
            (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / "local/resources.json").write_text(json.dumps({CLASS_ALLOW_LIST: allowed}), encoding="utf-8")

        def built(kind):
            path = f"{kind.__module__}.{kind.__qualname__}"
            try:
                ComponentPathAuthorizer().authorize_component_config({"path": path}, workspace=Workspace(str(tmp_path)))
            except UnsafeComponentError:
                return False
            return True

        return built

    return make


def test_the_line_of_the_page_lets_flare_build_our_parts(builds):
    (line,) = re.findall(r"^```json\n\"(.*)\"\n```", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [builds([line])(kind) for kind in OURS] == [True] * 4
    assert [builds(["nvflare."])(kind) for kind in OURS] == [False] * 4
    assert not builds([line])(Path)
