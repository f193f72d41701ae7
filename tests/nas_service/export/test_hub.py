"""What model hubs read of a bundle."""

import pytest
import yaml

from nas_service.export.hub import front_matter


@pytest.mark.parametrize("name", ["digits", "Zahl \u00e9", "\U0001f600 beyond", 'a "quoted" \\ name', "\x7f\u2028\n", "yes: no"])
def test_a_name_is_the_same_one_in_yaml(name: str) -> None:
    manifest = {
        "method": {"name": "bnn"},
        "dataset": {"name": name},
        "space": {"name": "tiny"},
        "metrics": {"test_accuracy": 0.5, "test_balanced_accuracy": 0.5},
    }
    lines = front_matter(manifest)
    head = yaml.safe_load("\n".join(lines[1 : lines.index("---", 1)]))
    assert head["datasets"] == [name]
    assert head["model-index"][0]["name"] == f"bnn on {name}"
