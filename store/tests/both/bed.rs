//! An empty database of each kind for a test: a SQLite file in a folder that goes away, or a database of its own in a
//! throw-away Postgres cluster that every test of this process shares and that ends with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use store::{Location, Store};
use tempfile::TempDir;

/// Runs each of these tests on a bed of both kinds. The module that says so has [`Bed`] in scope.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Bed::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                let Some(bed) = super::Bed::postgres() else { return };
                super::$name(bed).await;
            })*
        }
    };
}

/// Where a test's store lives; dropped after the test.
pub struct Bed {
    pub location: Location,
    _dir: Option<TempDir>,
}

impl Bed {
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { location: Location::in_dir(dir.path()), _dir: Some(dir) }
    }

    /// `None` only when WEIR_TEST_POSTGRES=skip asks for it.
    pub fn postgres() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if std::env::var("WEIR_TEST_POSTGRES").is_ok_and(|v| v == "skip") {
            eprintln!("skipped: WEIR_TEST_POSTGRES=skip");
            return None;
        }
        let cluster = Cluster::shared();
        let name = format!("bed{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let made = Command::new(cluster.binaries.join("createdb"))
            .arg("-h")
            .arg(cluster.dir.path())
            .args(["-U", "postgres", &name])
            .status()
            .unwrap();
        assert!(made.success(), "createdb {name} ended with {made}");
        let address = format!("postgres://postgres@localhost/{name}?host={}", cluster.dir.path().display());
        Some(Self { location: Location::Postgres(address), _dir: None })
    }

    pub async fn open(&self) -> Store {
        Store::open(&self.location).await.unwrap()
    }

    /// Runs a statement behind the store's back.
    pub async fn tamper(&self, sql: &'static str) {
        use sqlx::{ConnectOptions as _, Connection as _};
        match &self.location {
            Location::Sqlite(path) => {
                let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
                sqlx::query(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Location::Postgres(address) => {
                let mut connection = sqlx::PgConnection::connect(address).await.unwrap();
                sqlx::query(sql).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }
}

/// A Postgres of this test process alone, on a Unix socket, without fsync.
struct Cluster {
    binaries: PathBuf,
    dir: TempDir,
    /// Waits for its standard input to end, which it does when this process does, however it does.
    _keeper: Child,
}

impl Cluster {
    fn shared() -> &'static Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(Self::start)
    }

    fn start() -> Self {
        let binaries = binaries().expect(
            "these tests need Postgres: apt-get install postgresql (the package postgresql-15 on Debian 12), or set WEIR_TEST_POSTGRES=skip to leave them out",
        );
        let dir = tempfile::tempdir().unwrap();
        let as_root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0");
        // Postgres refuses to run as root, so root lends it to the user the package made.
        let user: &[&str] = if as_root {
            &["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        } else {
            &["env"]
        };
        if as_root {
            run(Command::new("chown").arg("postgres:postgres").arg(dir.path()));
        }
        let data = dir.path().join("data");
        let mut initdb = Command::new(user[0]);
        initdb.args(&user[1..]).arg(binaries.join("initdb")).arg("-D").arg(&data);
        run(initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"]));

        let script =
            r#"folder=$1; shift; "$@" & pid=$!; cat >/dev/null; kill -INT "$pid"; wait "$pid"; rm -rf "$folder""#;
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", script, "sh"])
            .arg(dir.path())
            .args(user)
            .arg(binaries.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(dir.path());
        keeper.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"]);
        let keeper =
            keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/").spawn().unwrap();
        let cluster = Self { binaries, dir, _keeper: keeper };
        let began = Instant::now();
        while !cluster.answers() {
            assert!(began.elapsed() < Duration::from_secs(30), "Postgres did not answer within 30 s");
            std::thread::sleep(Duration::from_millis(50));
        }
        cluster
    }

    fn answers(&self) -> bool {
        let mut ask = Command::new(self.binaries.join("pg_isready"));
        ask.arg("-h").arg(self.dir.path()).args(["-U", "postgres"]).stdout(Stdio::null());
        ask.status().is_ok_and(|s| s.success())
    }
}

fn run(command: &mut Command) {
    let output = command.current_dir("/").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The newest Postgres of the distribution's packages.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let version = |path: &Path| path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok());
    let newest =
        versions.flatten().map(|e| e.path()).filter(|p| p.join("bin/initdb").is_file()).max_by_key(|p| version(p))?;
    Some(newest.join("bin"))
}
