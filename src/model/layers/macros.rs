//! How a layer declares its struct and its keys, both at once.

/// A layer's struct and its keys: `needs` are required, `takes` have a default, which may depend on what stands before it.
macro_rules! layer {
    (
        $(#[$doc:meta])*
        $name:ident $file:literal
        needs { $($(#[$r_doc:meta])* $r:ident: $r_type:ty => $r_key:expr,)* }
        takes { $($(#[$d_doc:meta])* $d:ident: $d_type:ty = $default:expr => $d_key:expr,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name {
            $($(#[$r_doc])* pub $r: $r_type,)*
            $($(#[$d_doc])* pub $d: $d_type,)*
        }

        impl $name {
            /// The layer with the defaults of the model file.
            #[allow(clippy::new_without_default, reason = "a layer without required keys is made as any other")]
            pub fn new($($r: impl Into<<$r_type as $crate::model::layers::keys::Field>::Given>),*) -> Self {
                $(let $r: $r_type = Into::<<$r_type as $crate::model::layers::keys::Field>::Given>::into($r).into();)*
                $(let $d: $d_type = $default;)*
                $name { $($r,)* $($d,)* }
            }
        }

        impl $crate::model::layers::keys::Keyed for $name {
            const NAME: &'static str = $file;

            fn keys() -> Vec<$crate::model::layers::keys::Key> {
                vec![
                    $($crate::model::layers::keys::Key { name: stringify!($r), required: true, ..$r_key },)*
                    $($crate::model::layers::keys::Key { name: stringify!($d), ..$d_key },)*
                ]
            }

            fn values(&self) -> Vec<$crate::model::layers::keys::Value> {
                vec![
                    $($crate::model::layers::keys::Field::value(self.$r),)*
                    $($crate::model::layers::keys::Field::value(self.$d),)*
                ]
            }

            fn of(values: &[Option<$crate::model::layers::keys::Value>]) -> Option<Self> {
                let mut values = values.iter().copied();
                $(let $r: $r_type = $crate::model::layers::keys::Field::of(values.next()??)?;)*
                $(let $d: $d_type = match values.next()? {
                    Some(value) => $crate::model::layers::keys::Field::of(value)?,
                    None => $default,
                };)*
                values.next().is_none().then_some($name { $($r,)* $($d,)* })
            }
        }
    };
}

/// The parts of a [`Layer`](crate::model::Layer) that follow from its keys.
macro_rules! keyed {
    () => {
        fn type_name(&self) -> &'static str {
            <Self as $crate::model::layers::keys::Keyed>::NAME
        }

        fn values(&self) -> Option<Vec<$crate::model::layers::keys::Value>> {
            Some($crate::model::layers::keys::Keyed::values(self))
        }
    };
}
