//! A dashboard for Grafana: a few of the questions of `packs/hunting` as panels, over ClickHouse.
//!
//! The fields are those of Grafana's own types for dashboards (`grafana-foundation-sdk`), and those of a
//! query the ClickHouse plugin's (`CHSqlQuery` of its `types/sql.ts`).

use serde_json::{Value, json};

use super::PackError;
use super::conf::pretty;
use super::hunting::{Hunt, VIEW};

/// The data source plugin of ClickHouse.
const PLUGIN: &str = "grafana-clickhouse-datasource";

/// A question as a panel.
struct Panel {
    hunt: &'static str,
    kind: Kind,
    /// Left, top, width and height, of a grid 24 wide.
    place: [u32; 4],
}

/// How an answer is shown.
#[derive(Clone, Copy)]
enum Kind {
    Table,
    /// Bars that stand on each other, each at the value of the first column; the last is left out.
    Bars {
        along: &'static str,
        hidden: &'static str,
    },
}

const PANELS: &[Panel] = &[
    Panel {
        hunt: "timeline",
        kind: Kind::Bars {
            along: "day",
            hidden: "hosts",
        },
        place: [0, 0, 24, 8],
    },
    Panel {
        hunt: "prevalence_signer",
        kind: Kind::Table,
        place: [0, 8, 24, 9],
    },
    Panel {
        hunt: "first_seen_in_fleet",
        kind: Kind::Table,
        place: [0, 17, 24, 9],
    },
    Panel {
        hunt: "rare_digests",
        kind: Kind::Table,
        place: [0, 26, 24, 9],
    },
    Panel {
        hunt: "silent_hosts",
        kind: Kind::Table,
        place: [0, 35, 24, 9],
    },
];

/// The dashboard.
///
/// # Errors
/// When a question that it shows is not there.
pub fn dashboard(hunts: &[Hunt]) -> Result<String, PackError> {
    let panel = |(panel, id): (&Panel, u32)| {
        let hunt = hunts.iter().find(|hunt| hunt.name == panel.hunt);
        let gone = || PackError::new("packs/grafana", format!("no question `{}`", panel.hunt));
        Ok(show(panel, hunt.ok_or_else(gone)?, id))
    };
    let panels: Result<Vec<Value>, PackError> = PANELS.iter().zip(1..).map(panel).collect();
    Ok(pretty(&json!({
        "uid": "dsplug-fleet",
        "title": "DirectoryService plug-ins of the fleet",
        "description": format!(
            "The questions of packs/hunting over the view {VIEW} in ClickHouse. They read all that the \
             view has, whatever time is chosen."
        ),
        "tags": ["dsplug", "osquery", "macOS"],
        "timezone": "utc",
        "editable": true,
        "graphTooltip": 0,
        "schemaVersion": 39,
        "time": { "from": "now-30d", "to": "now" },
        "timepicker": { "hidden": true },
        "templating": { "list": [{
            "name": "source",
            "label": "ClickHouse",
            "type": "datasource",
            "query": PLUGIN,
            "refresh": 1,
            "hide": 0,
            "multi": false,
            "includeAll": false,
        }] },
        "panels": panels?,
    })))
}

fn show(panel: &Panel, hunt: &Hunt, id: u32) -> Value {
    let source = json!({ "type": PLUGIN, "uid": "${source}" });
    let [x, y, w, h] = panel.place;
    let (kind, options, config) = match panel.kind {
        Kind::Table => (
            "table",
            json!({ "showHeader": true, "cellHeight": "sm" }),
            json!({
                "defaults": { "custom": { "align": "auto", "filterable": true } },
                "overrides": [],
            }),
        ),
        Kind::Bars { along, hidden } => (
            "barchart",
            json!({
                "xField": along,
                "orientation": "auto",
                "stacking": "normal",
                "showValue": "never",
                "legend": {
                    "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [],
                },
                "tooltip": { "mode": "multi", "sort": "none" },
            }),
            json!({
                "defaults": { "custom": { "fillOpacity": 80, "lineWidth": 1 } },
                "overrides": [{
                    "matcher": { "id": "byName", "options": hidden },
                    "properties": [{
                        "id": "custom.hideFrom",
                        "value": { "legend": true, "tooltip": false, "viz": true },
                    }],
                }],
            }),
        ),
    };
    json!({
        "id": id,
        "type": kind,
        "title": hunt.title,
        "description": format!("{} {}", hunt.question, hunt.answer),
        "gridPos": { "x": x, "y": y, "w": w, "h": h },
        "datasource": source,
        "targets": [{
            "refId": "A",
            "datasource": source,
            "editorType": "sql",
            "queryType": "table",
            "format": 1,
            "rawSql": hunt.sql.trim_end_matches(';'),
        }],
        "options": options,
        "fieldConfig": config,
    })
}
