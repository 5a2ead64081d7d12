//! One table as a plug-in of osquery-rust-ng.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use osquery_rust_ng::plugin::{ColumnOptions, OsqueryPlugin, Registry};
use osquery_rust_ng::{
    ExtensionPluginRequest, ExtensionPluginResponse, ExtensionResponse, ExtensionStatus,
};

use super::manager::Status;
use super::rows::Rows;
use super::shared;
use super::source::{Source, TableSpec};

/// The option of every column. With none, osquery makes each column an index:
/// it then delivers constraints, and a table that does not filter by them
/// loses rows of an `OR`. This one alone delivers nothing: osquery asks for all
/// rows and SQLite filters.
const OPTION: ColumnOptions = ColumnOptions::OPTIMIZED;

/// A table of the [`Source`].
#[derive(Clone)]
pub(super) struct Table {
    spec: TableSpec,
    source: Arc<dyn Source>,
}

impl Table {
    /// One plug-in for each table of the source.
    pub(super) fn all(source: &Arc<dyn Source>) -> Vec<Self> {
        let table = |spec| Self {
            spec,
            source: Arc::clone(source),
        };
        source.tables().into_iter().map(table).collect()
    }

    /// What it answers to a request.
    pub(super) fn call(&self, request: &ExtensionPluginRequest) -> Answer {
        match request.get("action").map(String::as_str) {
            Some("generate") => self.generate(),
            Some("columns") => {
                let mut rows = Rows::default();
                self.columns().iter().for_each(|column| rows.push(column));
                success(rows)
            }
            // As osquery's own tables answer; it becomes SQLITE_READONLY.
            Some("insert" | "update" | "delete") => {
                let mut rows = Rows::default();
                rows.push(&[("status", "readonly".to_owned())]);
                success(rows)
            }
            action => failure(format!(
                "{}: a table does not know the action {:?}",
                self.spec.name,
                action.unwrap_or_default()
            )),
        }
    }

    /// All rows, whatever the request's `context` says: SQLite filters.
    fn generate(&self) -> Answer {
        let name = self.spec.name;
        let mut rows = Rows::default();
        let source = AssertUnwindSafe(|| self.source.generate(name, &mut rows));
        let made = catch_unwind(source)
            .unwrap_or_else(|panic| Err(format!("failed inside: {}", shared::message(&*panic))));
        match made {
            Ok(()) => success(rows),
            Err(message) => {
                log::error!("{name}: {message}");
                failure(format!("{name}: {message}"))
            }
        }
    }

    fn columns(&self) -> Vec<[(&'static str, String); 4]> {
        let columns = self.spec.columns.iter();
        columns
            .map(|(name, of)| {
                [
                    ("id", "column".to_owned()),
                    ("name", (*name).to_owned()),
                    ("type", of.as_str().to_owned()),
                    ("op", OPTION.bits().to_string()),
                ]
            })
            .collect()
    }
}

/// What a plug-in answers.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: Status,
    pub(super) rows: Rows,
}

fn success(rows: Rows) -> Answer {
    let status = Status {
        code: 0,
        message: "OK".to_owned(),
        uuid: None,
    };
    Answer { status, rows }
}

/// A status that is not zero: osquery discards the rows and shows the message
/// as the query's error.
pub(super) fn failure(message: String) -> Answer {
    let status = Status {
        code: 1,
        message,
        uuid: None,
    };
    let rows = Rows::default();
    Answer { status, rows }
}

impl OsqueryPlugin for Table {
    fn name(&self) -> String {
        self.spec.name.to_owned()
    }

    fn registry(&self) -> Registry {
        Registry::Table
    }

    fn routes(&self) -> ExtensionPluginResponse {
        let columns = self.columns().into_iter();
        let owned = |column: [(&str, String); 4]| column.map(|(key, text)| (key.to_owned(), text));
        columns.map(|column| owned(column).into()).collect()
    }

    fn ping(&self) -> ExtensionStatus {
        Status::default().into()
    }

    /// As the crate's own server would ask. The front takes the encoded rows of [`Table::call`].
    fn handle_call(&self, request: ExtensionPluginRequest) -> ExtensionResponse {
        self.call(&request).into()
    }

    fn shutdown(&self) {}
}

impl From<Answer> for ExtensionResponse {
    fn from(answer: Answer) -> Self {
        Self::new(ExtensionStatus::from(answer.status), answer.rows.maps())
    }
}

impl From<Status> for ExtensionStatus {
    fn from(status: Status) -> Self {
        Self {
            code: Some(status.code),
            message: Some(status.message),
            uuid: status.uuid,
        }
    }
}
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::table::Type;

    /// A table of one row, one that fails, and one that panics.
    struct Three;

    impl Source for Three {
        fn tables(&self) -> Vec<TableSpec> {
            let columns = vec![("path", Type::Text), ("size", Type::BigInt)];
            ["good", "failing", "panicking"]
                .map(|name| TableSpec {
                    name,
                    columns: columns.clone(),
                })
                .to_vec()
        }

        fn generate(&self, table: &str, rows: &mut Rows) -> Result<(), String> {
            rows.push(&[("path", "/x".to_owned()), ("size", "1".to_owned())]);
            match table {
                "good" => Ok(()),
                "failing" => Err("/x: cannot be listed".to_owned()),
                _ => panic!("out of ideas"),
            }
        }
    }

    type Map = BTreeMap<String, String>;

    fn row<const N: usize>(cells: [(&str, &str); N]) -> Map {
        let owned = cells.map(|(key, value)| (key.to_owned(), value.to_owned()));
        owned.into()
    }

    fn call(table: &str, request: &[(&str, &str)]) -> (i32, String, Vec<Map>) {
        let source: Arc<dyn Source> = Arc::new(Three);
        let tables = Table::all(&source);
        let table = tables.iter().find(|other| other.name() == table).unwrap();
        let cells = request.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        let answer = table.handle_call(cells.collect());
        let status = answer.status.unwrap();
        (
            status.code.unwrap(),
            status.message.unwrap(),
            answer.response.unwrap(),
        )
    }

    #[test]
    fn any_context_is_accepted_and_ignored() {
        // Operators: 2 is `=`, 73 and 74 are LIMIT and OFFSET on the first column.
        for context in [
            r#"{"constraints":[{"name":"path","list":[{"op":2,"expr":"/y"}],"affinity":"TEXT"}],"colsUsed":["path"],"colsUsedBitset":1}"#,
            r#"{"constraints":[{"name":"path","list":[{"op":73,"expr":"0"},{"op":74,"expr":"5"}],"affinity":"TEXT"}]}"#,
            r#"{"constraints":null}"#,
            "[1,2",
            "",
        ] {
            let (code, _, rows) = call("good", &[("action", "generate"), ("context", context)]);
            assert_eq!((code, rows.len()), (0, 1), "{context}");
        }
        assert_eq!(call("good", &[("action", "generate")]).0, 0);
    }

    #[test]
    fn a_failure_is_a_status_and_never_rows() {
        let (code, message, rows) = call("failing", &[("action", "generate")]);
        assert_eq!((code, rows), (1, vec![]));
        assert_eq!(message, "failing: /x: cannot be listed");
        let (code, message, rows) = call("panicking", &[("action", "generate")]);
        assert_eq!((code, rows), (1, vec![]));
        assert!(message.contains("out of ideas"), "{message}");
    }

    #[test]
    fn unknown_actions_fail() {
        assert_eq!(call("good", &[("action", "explode")]).0, 1);
        assert_eq!(call("good", &[]).0, 1);
    }

    #[test]
    fn columns_are_routes_that_osquery_reads() {
        // osquery/core/plugins/…/tables.cpp: id, name, type, op; 8 is OPTIMIZED.
        let (code, _, rows) = call("good", &[("action", "columns")]);
        assert_eq!(code, 0);
        let source: Arc<dyn Source> = Arc::new(Three);
        let routes = Table::all(&source).first().map(Table::routes);
        assert_eq!(routes.as_ref(), Some(&rows));
        assert_eq!(
            rows,
            [
                row([
                    ("id", "column"),
                    ("name", "path"),
                    ("type", "TEXT"),
                    ("op", "8")
                ]),
                row([
                    ("id", "column"),
                    ("name", "size"),
                    ("type", "BIGINT"),
                    ("op", "8")
                ]),
            ]
        );
    }

    #[test]
    fn writing_is_answered_as_osquerys_own_tables_do() {
        for action in ["insert", "update", "delete"] {
            let (code, _, rows) = call("good", &[("action", action)]);
            assert_eq!((code, rows), (0, vec![row([("status", "readonly")])]));
        }
    }
}
