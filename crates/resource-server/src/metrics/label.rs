//! Labels: closed sets of values, so that counting is an array index and no client adds a series.

/// A label, the values of which are a closed set.
pub trait Label: Copy + Sized + 'static {
    /// All values, each at its place.
    const ALL: &'static [Self];

    /// The value's place among all.
    fn index(self) -> usize;

    /// The value as Prometheus is told it.
    fn as_str(self) -> &'static str;
}

/// Declares a label with its values, each with the text by which Prometheus shows it.
#[macro_export]
macro_rules! metric_label {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$what])* $value,)+
        }

        impl $crate::metrics::Label for $name {
            const ALL: &'static [Self] = &[$(Self::$value,)+];

            fn index(self) -> usize {
                self as usize
            }

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }
    };
}
