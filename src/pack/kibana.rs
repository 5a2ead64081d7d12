//! A dashboard for Kibana over the results of Osquery Manager, as saved objects to import.
//!
//! The panels are Lens charts kept in the dashboard, of the form that Elastic's own dashboards for this
//! integration have; names of operations and their parameters are those of Lens
//! (`form_based/operations/definitions` in Kibana). A data view of their own comes with them, so that
//! they lean on nothing that a cluster may not have.

use serde_json::{Map, Value, json};

use super::NAME_COLUMN;
use super::elastic_rules::INDEX;

/// The identifier of the data view.
const DATA_VIEW: &str = "dsplug-osquery-results";
/// The time of a result.
const TIME: &str = "@timestamp";
/// The version that the panels have the form of. A younger Kibana brings them up to its own.
const FORM: &str = "8.8.0";

/// A chart.
struct Panel {
    id: &'static str,
    title: &'static str,
    description: &'static str,
    /// In Kibana's query language.
    query: &'static str,
    shape: Shape,
    columns: &'static [Column],
    /// Left, top, width and height, of a grid 48 wide.
    place: [u32; 4],
}

/// How it is shown.
#[derive(Clone, Copy)]
enum Shape {
    Table,
    /// Bars along the first column, split by the second, as high as the third.
    Bars(&'static str),
}

/// A column of what it asks, in the order in which it is asked.
struct Column {
    id: &'static str,
    label: &'static str,
    operation: Operation,
    field: &'static str,
}

/// What becomes of the field.
#[derive(Clone, Copy)]
enum Operation {
    /// Each value of it, so many at most, by the column of that name, which way.
    Terms(u32, &'static str, &'static str),
    /// Each span of time.
    Histogram,
    Unique,
    Earliest,
    Latest,
    /// What the newest result has.
    Newest,
    /// How many results.
    Count,
}

const fn column(
    id: &'static str,
    label: &'static str,
    operation: Operation,
    field: &'static str,
) -> Column {
    Column {
        id,
        label,
        operation,
        field,
    }
}

use Operation::{Count, Earliest, Histogram, Latest, Newest, Terms, Unique};

const HOSTS: Column = column("hosts", "Macs", Unique, "host.name");

const PANELS: &[Panel] = &[
    Panel {
        id: "timeline",
        title: "What happened, by query",
        description: "Lines of all queries but the inventory, base lines left out.",
        query: "osquery.dsplug_query : * and not osquery.dsplug_query : \"inventory\" and not osquery_meta.counter : 0",
        shape: Shape::Bars("bar_stacked"),
        columns: &[
            column("time", "Time", Histogram, TIME),
            column(
                "query",
                "Query",
                Terms(20, "lines", "desc"),
                "osquery.dsplug_query",
            ),
            column("lines", "Lines", Count, "___records___"),
        ],
        place: [0, 0, 48, 12],
    },
    Panel {
        id: "signers",
        title: "Plug-ins by signer and state",
        description: "The bundles of the inventories within the time chosen. A signer is named only where the signature holds.",
        query: "osquery.dsplug_query : \"inventory\" and osquery.path : *",
        shape: Shape::Bars("bar_horizontal_stacked"),
        columns: &[
            column(
                "signer",
                "Signer",
                Terms(15, "hosts", "desc"),
                "osquery.signer",
            ),
            column(
                "state",
                "Signature",
                Terms(10, "hosts", "desc"),
                "osquery.signature_state",
            ),
            HOSTS,
        ],
        place: [0, 12, 24, 14],
    },
    Panel {
        id: "silent",
        title: "Macs by their last inventory, the longest silent first",
        description: "Of the Macs that sent one within the time chosen. Osquery Manager sends nothing for a Mac without plug-ins, which is not here.",
        query: "osquery.dsplug_query : \"inventory\"",
        shape: Shape::Table,
        columns: &[
            column("host", "Mac", Terms(100, "last", "asc"), "host.name"),
            column("last", "Last inventory", Latest, TIME),
        ],
        place: [24, 12, 24, 14],
    },
    Panel {
        id: "digests",
        title: "Digests, the newest first",
        description: "When each content was first seen within the time chosen, and on how many Macs it is.",
        query: "(osquery.dsplug_query : \"modified\" or osquery.dsplug_query : \"events\" or osquery.dsplug_query : \"inventory\") and osquery.hash : * and not osquery.hash : \"\"",
        shape: Shape::Table,
        columns: &[
            column(
                "digest",
                "Digest",
                Terms(100, "first", "desc"),
                "osquery.hash",
            ),
            column("first", "First seen", Earliest, TIME),
            HOSTS,
            column("path", "Path", Newest, "osquery.path"),
            column("state", "Signature", Newest, "osquery.signature_state"),
            column("signer", "Signer", Newest, "osquery.signer"),
            column("team", "Team", Newest, "osquery.team_identifier"),
        ],
        place: [0, 26, 48, 16],
    },
];

/// The saved objects, one a line: a data view and the dashboard.
pub fn objects() -> String {
    let panels: Vec<Value> = PANELS.iter().map(panel).collect();
    let references = PANELS.iter().map(|panel| {
        json!({
            "id": DATA_VIEW,
            "name": format!("{}:{}", panel.id, layer_reference(panel)),
            "type": "index-pattern",
        })
    });
    let view = json!({
        "attributes": {
            "name": "dsplug: results of Osquery Manager",
            "timeFieldName": TIME,
            "title": INDEX,
        },
        "coreMigrationVersion": FORM,
        "id": DATA_VIEW,
        "references": [],
        "type": "index-pattern",
        "typeMigrationVersion": "8.0.0",
    });
    let dashboard = json!({
        "attributes": {
            "title": "DirectoryService plug-ins of the fleet",
            "description": format!("Results of the pack dsplug, found by osquery.{NAME_COLUMN}."),
            "kibanaSavedObjectMeta": {
                "searchSourceJSON": text(&json!({
                    "filter": [],
                    "query": { "language": "kuery", "query": "" },
                })),
            },
            "optionsJSON": text(&json!({ "hidePanelTitles": false, "useMargins": true })),
            "panelsJSON": text(&panels.into()),
            "timeFrom": "now-30d",
            "timeRestore": true,
            "timeTo": "now",
            "version": 1,
        },
        "coreMigrationVersion": FORM,
        "id": "dsplug-fleet",
        "references": references.collect::<Vec<_>>(),
        "type": "dashboard",
        "typeMigrationVersion": "8.7.0",
    });
    format!("{view}\n{dashboard}\n")
}

/// JSON within JSON is a text there.
fn text(value: &Value) -> String {
    value.to_string()
}

fn layer(panel: &Panel) -> String {
    format!("{}-layer", panel.id)
}

fn layer_reference(panel: &Panel) -> String {
    format!("indexpattern-datasource-layer-{}", layer(panel))
}

fn panel(panel: &Panel) -> Value {
    let [x, y, w, h] = panel.place;
    let (kind, visualization) = match panel.shape {
        Shape::Table => ("lnsDatatable", table(panel)),
        Shape::Bars(series) => ("lnsXY", bars(panel, series)),
    };
    json!({
        "embeddableConfig": {
            "attributes": {
                "description": panel.description,
                "references": [{
                    "id": DATA_VIEW,
                    "name": layer_reference(panel),
                    "type": "index-pattern",
                }],
                "state": {
                    "adHocDataViews": {},
                    "datasourceStates": { "formBased": { "layers": { layer(panel): {
                        "columnOrder": panel.columns.iter().map(|c| c.id).collect::<Vec<_>>(),
                        "columns": panel.columns.iter().map(|c| (c.id.to_owned(), asked(c))).collect::<Map<_, _>>(),
                        "incompleteColumns": {},
                    } } } },
                    "filters": [],
                    "internalReferences": [],
                    "query": { "language": "kuery", "query": panel.query },
                    "visualization": visualization,
                },
                "title": panel.title,
                "type": "lens",
                "visualizationType": kind,
            },
            "description": panel.description,
            "enhancements": {},
            "hidePanelTitles": false,
        },
        "gridData": { "h": h, "i": panel.id, "w": w, "x": x, "y": y },
        "panelIndex": panel.id,
        "title": panel.title,
        "type": "lens",
        "version": FORM,
    })
}

fn asked(column: &Column) -> Value {
    let (operation, kind, scale, params) = match column.operation {
        Terms(size, by, direction) => (
            "terms",
            "string",
            "ordinal",
            json!({
                "missingBucket": false,
                "orderBy": { "columnId": by, "type": "column" },
                "orderDirection": direction,
                "otherBucket": false,
                "parentFormat": { "id": "terms" },
                "size": size,
            }),
        ),
        Histogram => (
            "date_histogram",
            "date",
            "interval",
            json!({ "dropPartials": false, "includeEmptyRows": true, "interval": "auto" }),
        ),
        Unique => (
            "unique_count",
            "number",
            "ratio",
            json!({ "emptyAsNull": true }),
        ),
        Count => ("count", "number", "ratio", json!({ "emptyAsNull": true })),
        Earliest => ("min", "date", "ratio", json!({})),
        Latest => ("max", "date", "ratio", json!({})),
        Newest => (
            "last_value",
            "string",
            "ordinal",
            json!({ "showArrayValues": false, "sortField": TIME }),
        ),
    };
    let mut asked = json!({
        "customLabel": true,
        "dataType": kind,
        "isBucketed": matches!(column.operation, Terms(..) | Histogram),
        "label": column.label,
        "operationType": operation,
        "params": params,
        "scale": scale,
        "sourceField": column.field,
    });
    if let (Newest, Some(asked)) = (column.operation, asked.as_object_mut()) {
        let exists = format!("\"{}\": *", column.field);
        asked.insert(
            "filter".into(),
            json!({ "language": "kuery", "query": exists }),
        );
    }
    asked
}

fn table(panel: &Panel) -> Value {
    let columns = panel
        .columns
        .iter()
        .map(|column| json!({ "columnId": column.id, "isTransposed": false }));
    json!({
        "columns": columns.collect::<Vec<_>>(),
        "layerId": layer(panel),
        "layerType": "data",
    })
}

fn bars(panel: &Panel, series: &str) -> Value {
    let id = |at: usize| panel.columns.get(at).map(|column| column.id);
    json!({
        "layers": [{
            "accessors": [id(2)],
            "layerId": layer(panel),
            "layerType": "data",
            "seriesType": series,
            "splitAccessor": id(1),
            "xAccessor": id(0),
        }],
        "legend": { "isVisible": true, "position": "right" },
        "preferredSeriesType": series,
        "valueLabels": "hide",
    })
}
