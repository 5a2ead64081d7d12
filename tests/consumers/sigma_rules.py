"""Sigma's own checker over the rules, and every back end over each of them.

What each query becomes is held against what the back end's language calls the fields by; a rule
that a back end cannot convert is an error of its own.
"""

import pathlib
import subprocess
import sys

from sigma.backends.elasticsearch import ESQLBackend, LuceneBackend
from sigma.backends.kusto import KustoBackend
from sigma.backends.loki import LogQLBackend
from sigma.backends.splunk import SplunkBackend
from sigma.collection import SigmaCollection
from sigma.processing.pipeline import ProcessingPipeline

TOP = pathlib.Path(__file__).resolve().parents[2]
SIGMA = TOP / "packs" / "sigma"
# These two fetch MITRE's lists from the network when they are asked; the numbers are checked where
# the headers are read.
FETCHING = ["attacktag", "d3_fendtag"]

# The back end, its pipeline, and the field and the exclusion as its language writes them.
BACK_ENDS = {
    "lucene": (LuceneBackend, "elastic", "osquery.dsplug_query:{}", "NOT osquery_meta.counter:0"),
    "esql": (ESQLBackend, "elastic", 'osquery.dsplug_query=="{}"', "not osquery_meta.counter==0"),
    "splunk": (SplunkBackend, "osquery", 'columns.dsplug_query="{}"', "NOT counter=0"),
    "kusto": (KustoBackend, "kusto", 'columns_dsplug_query =~ "{}"', "not(counter == 0)"),
    "loki": (LogQLBackend, "loki", "columns_dsplug_query=~`(?i)^{}$`", "counter!=0"),
}


def main():
    checked = subprocess.run(
        [pathlib.Path(sys.executable).with_name("sigma"), "check", "--fail-on-issues"]
        + [word for name in FETCHING for word in ("-x", name)]
        + [SIGMA],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    files = sorted(SIGMA.glob("*.yml"))
    assert files
    for name, (back_end, pipeline, field, base_line) in BACK_ENDS.items():
        pipeline = ProcessingPipeline.from_yaml(
            (SIGMA / "pipelines" / f"{pipeline}.yaml").read_text()
        )
        for path in files:
            query = path.stem
            rule = SigmaCollection.from_yaml(path.read_text())
            (converted,) = back_end(pipeline).convert(rule)
            assert field.format(query) in converted, (name, query, converted)
            events = "base_line" not in path.read_text()
            assert (base_line in converted) != events, (name, query, converted)
    # The rules differ in the fields that they find their lines by: no rule finds another's.
    names = [path.stem for path in files]
    assert len(set(names)) == len(names)


main()
