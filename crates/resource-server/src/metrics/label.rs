//! Labels: closed sets of values, so that counting is an array access and no client can add a series.

/// A label with a closed set of values.
pub trait Label: Copy + Sized + 'static {
    /// All values, in the order of their indices.
    const ALL: &'static [Self];

    /// The index of the value in [`Label::ALL`].
    fn index(self) -> usize;

    /// The value in the Prometheus text format.
    fn as_str(self) -> &'static str;
}

/// Declares a [`Label`] with its values and their texts.
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
