"""Each file for Fleet against the types that Fleet reads it into.

Taken from fleetdm/fleet: pkg/spec/gitops.go (GitOpsFromFile, GitOpsControls, Query, Policy),
pkg/spec/gitops_deprecations.go, server/fleet/agent_options.go and agent_options_generated.go
(osquery 5.19). Fleet refuses a key that it does not know and a value of another type. Only what
these files use is written down here: whatever else they come to use must be looked up first.
"""

import pathlib

import yaml

TOP = pathlib.Path(__file__).resolve().parents[2]


class ListOf:
    def __init__(self, kind):
        self.kind = kind


class MapOf:
    def __init__(self, kind):
        self.kind = kind


PATH = {"path": str}
REPORT = {
    "name": str,
    "description": str,
    "query": str,
    "interval": int,
    "platform": str,
    "min_osquery_version": str,
    "observer_can_run": bool,
    "automations_enabled": bool,
    "logging": str,
    "discard_data": bool,
}
POLICY = {
    "name": str,
    "description": str,
    "resolution": str,
    "query": str,
    "platform": str,
    "critical": bool,
}
# osqueryOptions and osqueryCommandLineFlags; FilePaths is map[string][]string.
OPTIONS = {
    "disable_distributed": bool,
    "distributed_interval": int,
    "distributed_plugin": str,
    "distributed_tls_max_attempts": int,
    "logger_tls_endpoint": str,
    "logger_tls_period": int,
    "pack_delimiter": str,
}
FLAGS = {
    "disable_events": bool,
    "enable_file_events": bool,
    "extensions_timeout": str,
}
AGENT_OPTIONS = {
    "path": str,
    "config": {
        "decorators": {"load": ListOf(str)},
        "options": OPTIONS,
        "file_paths": MapOf(ListOf(str)),
    },
    "command_line_flags": FLAGS,
    "extensions": MapOf({"channel": str, "platform": str}),
}
FLEET = {
    "name": str,
    "settings": {"secrets": ListOf({"secret": str})},
    "agent_options": AGENT_OPTIONS,
    "reports": ListOf(PATH),
    "policies": ListOf(PATH),
    "controls": {
        "apple_settings": {"configuration_profiles": ListOf(PATH)},
        "scripts": ListOf(PATH),
    },
    "software": {
        "packages": ListOf({"url": str, "install_script": PATH, "uninstall_script": PATH}),
    },
}


def fits(value, kind, at):
    if isinstance(kind, ListOf):
        assert isinstance(value, list), f"{at}: no list"
        for index, item in enumerate(value):
            fits(item, kind.kind, f"{at}[{index}]")
    elif isinstance(kind, MapOf):
        assert isinstance(value, dict), f"{at}: no mapping"
        for key, item in value.items():
            fits(item, kind.kind, f"{at}.{key}")
    elif isinstance(kind, dict):
        assert isinstance(value, dict), f"{at}: no mapping"
        for key, item in value.items():
            assert key in kind, f"{at}.{key}: Fleet does not know it, or calls it deprecated"
            fits(item, kind[key], f"{at}.{key}")
    else:
        # Go's decoder takes no number for a text, and a bool is no number.
        assert type(value) is kind, f"{at}: {type(value).__name__}, not {kind.__name__}"


def fits_not(value, kind):
    try:
        fits(value, kind, "")
    except AssertionError:
        return True
    return False


def read(path):
    return yaml.safe_load(path.read_text())


def paths(value):
    """Every file that a file of a fleet includes."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "path":
                yield item
            else:
                yield from paths(item)
    elif isinstance(value, list):
        for item in value:
            yield from paths(item)


def main():
    names = set()
    for path in sorted((TOP / "packs" / "fleet").glob("*.yml")):
        value = read(path)
        kind = {
            "reports": ListOf(REPORT),
            "policies": ListOf(POLICY),
            "agent-options": AGENT_OPTIONS,
        }[path.name.split(".")[1]]
        fits(value, kind, path.name)
        for item in value if isinstance(value, list) else []:
            key = (path.name.split(".")[1], item["name"])
            assert key not in names, key
            names.add(key)
            if "logging" in item:
                assert item["logging"] in (
                    "snapshot",
                    "differential",
                    "differential_ignore_removals",
                )
    examples = sorted((TOP / "install" / "fleet" / "gitops").glob("*.yml"))
    assert examples
    for path in examples:
        value = read(path)
        fits(value, FLEET, path.name)
        # A host that gets any extension from the update server loads no other.
        updated = "extensions" in value.get("agent_options", {})
        packaged = "software" in value
        assert updated != packaged, f"{path.name}: both ways at once, or neither"
        # In a repository of Fleet's the file stands one directory below the top, as here
        # install/ and packs/ would.
        for included in paths(value):
            assert included.startswith("../"), included
            assert (TOP / included[3:]).exists(), f"{path.name}: {included} is not there"
    # The faults that this is for.
    assert fits_not({"command_line_flags": {"extensions_timeout": 10}}, AGENT_OPTIONS)
    assert fits_not({"controls": {"macos_settings": {}}}, FLEET)
    assert fits_not({"reports": [{"paht": "x"}]}, FLEET)


main()
