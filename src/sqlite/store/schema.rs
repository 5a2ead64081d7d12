//! What makes a database a store of ours, and how one is opened that root may have written.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;

/// Says that a database is ours: `dspl` in the file's header.
const APPLICATION: i32 = 0x6473_706c;
/// The version of what is in it.
const VERSION: i32 = 1;
/// Bytes of one page.
pub const PAGE: i64 = 4096;
/// Pages of the file, which with its log of writes stays within 16 MB.
const MOST_PAGES: i64 = 3_500;
/// Pages of the log of writes after which it is put into the file.
const LOG_PAGES: i64 = 128;
/// Bytes of the longest row: ten times as long as one of ours can be. A longer one was put there by others, to
/// be held in memory.
const LONGEST: i32 = 1 << 20;
/// Bytes of that log beyond which nothing is written: it grows for as long as another process reads and does not end.
const MOST_LOG: u64 = 16 << 20;
/// How long a reader or writer waits for the other.
const PATIENCE: Duration = Duration::from_secs(2);

const SCHEMA: &str = "
CREATE TABLE events (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, path TEXT NOT NULL, event TEXT NOT NULL);
CREATE TABLE known (path BLOB PRIMARY KEY, bundle TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE notes (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
";

/// Opens a file to write it, and makes of an empty one a store.
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let empty = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
        row.get::<_, i64>(0)
    })? == 0;
    if empty {
        // A journal beside the file is none of ours, at no time.
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = MEMORY; PRAGMA page_size = {PAGE}; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
        ))?;
    }
    check(&connection)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
         PRAGMA wal_autocheckpoint = {LOG_PAGES}; PRAGMA journal_size_limit = 1048576;
         PRAGMA max_page_count = {MOST_PAGES}; PRAGMA cache_size = -512;"
    ))?;
    if empty {
        connection.execute_batch(&format!("BEGIN;{SCHEMA}COMMIT;"))?;
    }
    check_schema(&connection)?;
    let state: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if state != "ok" {
        return Err(StoreError::Damaged(state));
    }
    Ok(connection)
}

/// Opens a file to read it, all of it as it is at this moment.
pub fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.execute_batch("BEGIN")?;
    check(&connection)?;
    check_schema(&connection)?;
    Ok(connection)
}

/// That SQLite would wait for nothing that stands at the names by which it opens a database, nor take what others
/// have put there for its own: a FIFO is waited for for ever, and a journal is rolled back.
pub fn look_beside(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        let why = match std::fs::symlink_metadata(&file) {
            Ok(_) if suffix == "-journal" => "was put there by another",
            Ok(meta) if !meta.is_file() => "is no regular file",
            _ => continue,
        };
        let file = Path::new(&file).display();
        return Err(StoreError::Failed(format!("{file} {why}")));
    }
    Ok(())
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, StoreError> {
    look_beside(path)?;
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST)?;
    // What stands in the file's schema is not ours to trust.
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
    for program in [
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
        DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
    ] {
        connection.set_db_config(program, false)?;
    }
    Ok(connection)
}

/// That the log of writes has room: what can be is put into the file first.
pub fn hold_log_to_bounds(connection: &Connection) -> Result<(), StoreError> {
    let is_full = || {
        let log = connection.path().map(|path| format!("{path}-wal"));
        let log = log.and_then(|log| std::fs::symlink_metadata(log).ok());
        log.is_some_and(|meta| meta.len() > MOST_LOG)
    };
    if !is_full() {
        return Ok(());
    }
    connection.busy_timeout(Duration::ZERO)?;
    let put = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(PATIENCE)?;
    if put.is_err() || is_full() {
        let why = "its log of writes is full: another process reads it and does not end";
        return Err(StoreError::Failed(why.to_owned()));
    }
    Ok(())
}

/// That nothing stands in the schema but our own: a trigger can take events out of it as they come, and a
/// view in a table's place need never end.
fn check_schema(connection: &Connection) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT sql FROM sqlite_schema ORDER BY rowid")?;
    let found = statement.query_map([], |row| row.get::<_, Option<String>>(0))?;
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let ours = SCHEMA.trim().lines().map(|line| line.trim_end_matches(';'));
    if found.iter().map(Option::as_deref).eq(ours.map(Some)) {
        return Ok(());
    }
    Err(StoreError::Damaged(
        "its schema is not that of this program".into(),
    ))
}

/// That a database is one of ours and of our version.
fn check(connection: &Connection) -> Result<(), StoreError> {
    let number = |what| connection.query_row(what, [], |row| row.get::<_, i32>(0));
    if number("PRAGMA application_id")? != APPLICATION {
        return Err(StoreError::Damaged(
            "it is not one of this program's".into(),
        ));
    }
    // Its bounds are counted in pages.
    let page = number("PRAGMA page_size")?;
    if i64::from(page) != PAGE {
        return Err(StoreError::Damaged(format!("its pages have {page} bytes")));
    }
    match number("PRAGMA user_version")? {
        VERSION => Ok(()),
        newer if newer > VERSION => Err(StoreError::Newer {
            version: newer,
            known: VERSION,
        }),
        other => Err(StoreError::Damaged(format!("its version is {other}"))),
    }
}
