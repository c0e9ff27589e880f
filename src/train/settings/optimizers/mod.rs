//! The optimizers: one file and one line in the table each.

mod adadelta;
mod adagrad;
mod adam;
mod adamw;
mod column;
pub(in crate::train) mod help;
mod lion;
mod rmsprop;
mod sgd;
#[cfg(test)]
mod tests;

pub use column::{Column, Constants, Defaults, Optimizer};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The names and their columns from the lines of the table; the first is the default.
macro_rules! optimizers {
    ($($variant:ident: $file:ident),* $(,)?) => {
        /// The optimizers by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum OptimizerName {
            $(#[doc = concat!("`", stringify!($file), "`, by its file.")] $variant,)*
        }

        impl OptimizerName {
            /// Every optimizer, the default first.
            pub const ALL: &'static [OptimizerName] = &[$(OptimizerName::$variant),*];
            /// Their names, as flags and files have them.
            pub const NAMES: &'static [&'static str] = &[$($file::COLUMN.name),*];

            /// The optimizer's column.
            pub fn column(self) -> &'static Column {
                match self {
                    $(OptimizerName::$variant => &$file::COLUMN,)*
                }
            }
        }
    };
}

optimizers! {
    Adam: adam,
    Adamw: adamw,
    Sgd: sgd,
    Rmsprop: rmsprop,
    Lion: lion,
    Adagrad: adagrad,
    Adadelta: adadelta,
}

impl OptimizerName {
    /// The name, as flags and files have it.
    pub fn name(self) -> &'static str {
        self.column().name
    }

    /// The settings that it takes.
    pub fn defaults(self) -> &'static Defaults {
        &self.column().defaults
    }
}

impl Default for OptimizerName {
    fn default() -> Self {
        Self::ALL[0]
    }
}

impl Serialize for OptimizerName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for OptimizerName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = String::deserialize(deserializer)?;
        let known = Self::ALL.iter().find(|optimizer| optimizer.name() == found);
        known.copied().ok_or_else(|| de::Error::unknown_variant(&found, Self::NAMES))
    }
}

#[cfg(feature = "cli")]
impl clap::ValueEnum for OptimizerName {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let column = self.column();
        Some(clap::builder::PossibleValue::new(column.name).help(column.about))
    }
}
