use crate::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where the database is. `Display` and `Debug` leave a password out.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file, made when it is not there. Beside it SQLite keeps `-wal` and `-shm` files.
    Sqlite(PathBuf),
    /// A Postgres address, `postgres://user:password@host:port/name?sslmode=…`.
    Postgres(String),
}

impl Location {
    /// The default: `weir.db` in the data directory.
    pub fn in_dir(data_dir: &Path) -> Self {
        Self::Sqlite(data_dir.join("weir.db"))
    }

    /// Reads an address from the configuration; empty means [`Location::in_dir`].
    ///
    /// # Errors
    /// [`Error::BadLocation`] when it is neither `postgres://…`, `postgresql://…` nor `sqlite:PATH`.
    pub fn parse(address: &str, data_dir: &Path) -> Result<Self, Error> {
        let address = address.trim();
        if address.is_empty() {
            return Ok(Self::in_dir(data_dir));
        }
        if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            return Ok(Self::Postgres(address.to_owned()));
        }
        let path = address.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
        match path {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            _ => Err(Error::BadLocation { address: without_password(address) }),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(address) => f.write_str(&without_password(address)),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

/// Cuts the user part and the query, where libpq-style addresses may both carry a password.
fn without_password(address: &str) -> String {
    let address = address.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}"),
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_and_passwords_never_shown() {
        let dir = Path::new("/data");
        assert_eq!(Location::parse("", dir).unwrap(), Location::Sqlite("/data/weir.db".into()));
        assert_eq!(Location::parse("sqlite:///x/y.db", dir).unwrap(), Location::Sqlite("/x/y.db".into()));
        let postgres = Location::parse("postgres://weir:hun@ter2@db:5432/weir?password=hunter2", dir).unwrap();
        assert_eq!(format!("{postgres} {postgres:?}"), "postgres://db:5432/weir Location(postgres://db:5432/weir)");
        let refused = Location::parse("mysql://root:hunter2@db/weir", dir).unwrap_err().to_string();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
