"""Which launcher the settings name."""

import pytest

from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from workers.launchers import create_launcher


def test_an_unknown_launcher_is_refused_with_those_there_are(settings: Settings) -> None:
    with pytest.raises(NotReadyError, match="allowed: child-process, ray-job"):
        create_launcher(settings.model_copy(update={"launcher": "kubernetes"}))
