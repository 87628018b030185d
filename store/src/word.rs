//! Choices that are stored and typed as one word each.

/// Declares an enum with its words: `as_str` gives a variant's word, `parse` reads it and names the setting when it can't.
macro_rules! words {
    (
        $(#[$meta:meta])* $name:ident, $setting:literal;
        $($(#[$about:meta])* $variant:ident = $word:literal,)+
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$about])* $variant,)+
        }

        impl $name {
            /// The word it is stored and typed as.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => {
                        let why = format!("none of {}", [$($word),+].join(", "));
                        Err($crate::Error::BadSetting { setting: $setting, why })
                    }
                }
            }
        }
    };
}
pub(crate) use words;
