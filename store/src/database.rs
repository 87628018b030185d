//! The thin layer that lets one query text run on both databases: pools, transactions, arguments and rows, each an
//! enum of two. Nothing here knows a table.

use crate::{Error, Location};
use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Postgres, Row as _, Sqlite};
use std::time::Duration;

/// How long a writer waits for another process's write before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Readers that run beside the one writer; queries are small, so few suffice.
const READERS: u32 = 4;
/// Processes that start at once on an empty SQLite file meet twice: at its change to WAL, which needs the file alone and
/// which the busy timeout does not cover, and at the first migration. The loser looks again.
const FIRST_START_TRIES: u32 = 10;

async fn pause(tries: u32) {
    tokio::time::sleep(Duration::from_millis(50 * u64::from(tries))).await;
}

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// An open database. Clones share its connections.
#[derive(Clone)]
pub(crate) enum Database {
    /// WAL lets readers go on while the one writer writes; a second writer in this process would only meet SQLITE_BUSY.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

/// SQLITE_BUSY, also in its extended forms.
fn is_locked(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code());
    code.and_then(|c| c.parse::<u32>().ok()).is_some_and(|c| c & 0xff == 5)
}

impl Database {
    pub(crate) async fn open(location: &Location) -> Result<Self, Error> {
        let refused = |source: sqlx::Error| Error::Open { database: location.to_string(), source: source.into() };
        let database = match location {
            Location::Sqlite(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .foreign_keys(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    // A committed change survives power loss; sequence numbers must not go back.
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(BUSY_TIMEOUT);
                let pool = |connections| {
                    SqlitePoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT)
                };
                let mut tries = 1;
                let writer = loop {
                    match pool(1).connect_with(options.clone()).await {
                        Err(error) if is_locked(&error) && tries < FIRST_START_TRIES => pause(tries).await,
                        done => break done.map_err(refused)?,
                    }
                    tries += 1;
                };
                Self::Sqlite { writer, readers: pool(READERS).connect_lazy_with(options) }
            }
            Location::Postgres(address) => {
                let pool = PgPoolOptions::new().max_connections(READERS + 1).acquire_timeout(ACQUIRE_TIMEOUT);
                Self::Postgres(pool.connect(address).await.map_err(refused)?)
            }
        };
        database.migrate(location).await?;
        Ok(database)
    }

    async fn migrate(&self, location: &Location) -> Result<(), Error> {
        use sqlx::migrate::MigrateError;
        let mut tries = 1;
        loop {
            let done = match self {
                Self::Sqlite { writer, .. } => MIGRATIONS.run(writer).await,
                Self::Postgres(pool) => MIGRATIONS.run(pool).await,
            };
            match done {
                Ok(()) => return Ok(()),
                Err(MigrateError::VersionMissing(_)) => return Err(Error::TooNew { database: location.to_string() }),
                Err(_) if tries < FIRST_START_TRIES => pause(tries).await,
                Err(source) => return Err(Error::Open { database: location.to_string(), source: source.into() }),
            }
            tries += 1;
        }
    }

    /// Begins a transaction that may write. On SQLite it takes the write lock at once, waiting up to 5 s for it: a lock
    /// taken later, after a read, could only be refused.
    pub(crate) async fn begin(&self) -> Result<Transaction, Error> {
        let unavailable = |source: sqlx::Error| Error::Unavailable { doing: "begin a change", source: source.into() };
        Ok(match self {
            Self::Sqlite { writer, .. } => {
                Transaction::Sqlite(writer.begin_with("begin immediate").await.map_err(unavailable)?)
            }
            Self::Postgres(pool) => Transaction::Postgres(pool.begin().await.map_err(unavailable)?),
        })
    }

    /// Runs a query that reads.
    pub(crate) async fn fetch(
        &self,
        doing: &'static str,
        sql: &'static str,
        arguments: &[Argument],
    ) -> Result<Vec<Row>, Error> {
        let unavailable = |source: sqlx::Error| Error::Unavailable { doing, source: source.into() };
        Ok(match self {
            Self::Sqlite { readers, .. } => {
                let rows = sqlite(sql, arguments).fetch_all(readers).await.map_err(unavailable)?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(pool) => {
                let rows = postgres(sql, arguments).fetch_all(pool).await.map_err(unavailable)?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Runs one statement that writes, as a transaction of its own; how many rows it changed.
    pub(crate) async fn execute(
        &self,
        doing: &'static str,
        sql: &'static str,
        arguments: &[Argument],
    ) -> Result<u64, Error> {
        let mut transaction = self.begin().await?;
        let changed = transaction.execute(doing, sql, arguments).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction; dropping it without [`Transaction::commit`] undoes it.
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    pub(crate) async fn fetch(
        &mut self,
        doing: &'static str,
        sql: &'static str,
        arguments: &[Argument],
    ) -> Result<Vec<Row>, Error> {
        let unavailable = |source: sqlx::Error| Error::Unavailable { doing, source: source.into() };
        Ok(match self {
            Self::Sqlite(t) => {
                let rows = sqlite(sql, arguments).fetch_all(&mut **t).await.map_err(unavailable)?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(t) => {
                let rows = postgres(sql, arguments).fetch_all(&mut **t).await.map_err(unavailable)?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub(crate) async fn execute(
        &mut self,
        doing: &'static str,
        sql: &'static str,
        arguments: &[Argument],
    ) -> Result<u64, Error> {
        let unavailable = |source: sqlx::Error| Error::Unavailable { doing, source: source.into() };
        Ok(match self {
            Self::Sqlite(t) => sqlite(sql, arguments).execute(&mut **t).await.map_err(unavailable)?.rows_affected(),
            Self::Postgres(t) => postgres(sql, arguments).execute(&mut **t).await.map_err(unavailable)?.rows_affected(),
        })
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        let unavailable = |source: sqlx::Error| Error::Unavailable { doing: "keep a change", source: source.into() };
        match self {
            Self::Sqlite(t) => t.commit().await.map_err(unavailable),
            Self::Postgres(t) => t.commit().await.map_err(unavailable),
        }
    }
}

/// A value bound to `$1`, `$2`, … Postgres wants the type of a null too, hence the options.
#[derive(Debug, Clone)]
pub(crate) enum Argument {
    Text(Option<String>),
    Int(Option<i64>),
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Argument {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<i64> for Argument {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Argument {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

/// Counts beyond what a bigint holds, which nothing reaches, become its largest number.
impl From<u64> for Argument {
    fn from(count: u64) -> Self {
        Self::from(Some(count))
    }
}

impl From<Option<u64>> for Argument {
    fn from(count: Option<u64>) -> Self {
        Self::Int(count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)))
    }
}

/// One row of an answer; columns by their place in the `select`.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! column {
    ($row:expr, $at:expr, $type:ty) => {
        match $row {
            Row::Sqlite(row) => row.try_get::<$type, _>($at),
            Row::Postgres(row) => row.try_get::<$type, _>($at),
        }
        .map_err(|e| Error::Unreadable { what: e.to_string() })
    };
}

impl Row {
    pub(crate) fn text(&self, at: usize) -> Result<String, Error> {
        column!(self, at, String)
    }

    pub(crate) fn text_or_null(&self, at: usize) -> Result<Option<String>, Error> {
        column!(self, at, Option<String>)
    }

    /// One of the words a choice is stored as.
    pub(crate) fn word<T: std::str::FromStr>(&self, at: usize) -> Result<T, Error> {
        let text = self.text(at)?;
        text.parse().map_err(|_| Error::Unreadable { what: format!("column {at} is {text:?}") })
    }

    pub(crate) fn int(&self, at: usize) -> Result<i64, Error> {
        column!(self, at, i64)
    }

    pub(crate) fn int_or_null(&self, at: usize) -> Result<Option<i64>, Error> {
        column!(self, at, Option<i64>)
    }

    /// A number that is never negative.
    pub(crate) fn count(&self, at: usize) -> Result<u64, Error> {
        let number = self.int(at)?;
        u64::try_from(number).map_err(|_| Error::Unreadable { what: format!("column {at} is {number}") })
    }

    pub(crate) fn count_or_null(&self, at: usize) -> Result<Option<u64>, Error> {
        self.int_or_null(at)?.map(|_| self.count(at)).transpose()
    }
}

macro_rules! binder {
    ($name:ident, $database:ty) => {
        fn $name(
            sql: &'static str,
            arguments: &[Argument],
        ) -> sqlx::query::Query<'static, $database, <$database as sqlx::Database>::Arguments> {
            let mut query = sqlx::query::<$database>(sql);
            for argument in arguments {
                query = match argument.clone() {
                    Argument::Text(text) => query.bind(text),
                    Argument::Int(number) => query.bind(number),
                };
            }
            query
        }
    };
}

binder!(sqlite, Sqlite);
binder!(postgres, Postgres);
