use figment::util::nest;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

const PREFIX: &str = "WEIR_";
/// Variables of ours that are no configuration keys: where the file is, a secret of `weir demo`, and the tests'.
const NOT_KEYS: [&str; 2] = ["CONFIG", "DEMO_KEY"];
const TEST_PREFIX: &str = "TEST_";

/// The `WEIR_…` variables as configuration: `WEIR_LOG__LEVEL` is `log.level`. Taken as a list, so that tests need not
/// change the environment of the process they share.
#[derive(Debug, Clone, Default)]
pub struct Environment(Vec<(String, String)>);

impl Environment {
    /// The process's own. Variables that are no UTF-8 are left out.
    pub fn of_process() -> Self {
        let pairs =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self(pairs.filter(|(name, _)| name.starts_with(PREFIX)).collect())
    }

    #[cfg(test)]
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// The variable of this key, as it is.
    pub fn get(&self, key: &str) -> Option<&str> {
        let wanted = format!("{PREFIX}{}", key.to_uppercase());
        self.0.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str())
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("environment")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut dict = Dict::new();
        for (name, value) in &self.0 {
            let Some(key) = name.strip_prefix(PREFIX) else { continue };
            if NOT_KEYS.contains(&key) || key.starts_with(TEST_PREFIX) {
                continue;
            }
            // The parse never fails: what is no number, bool or list is text.
            let value: Value = value.parse().unwrap_or_else(|never| match never {});
            let nested = nest(&key.to_lowercase().replace("__", "."), value);
            merge(&mut dict, nested.into_dict().unwrap_or_default());
        }
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

fn merge(into: &mut Dict, from: Dict) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Dict(_, inner)), Value::Dict(_, more)) => merge(inner, more),
            (_, value) => _ = into.insert(key, value),
        }
    }
}
