//! Numbers of a model file that stand for something: both ways by one list.

/// An enum of which every variant has its number in model files.
///
/// The numbers say nothing about how wide the enum is in memory; a `#[repr]` among the attributes does.
macro_rules! numbered {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $number:ident {
            $($(#[$doc:meta])* $variant:ident = $value:expr,)+
        }
    ) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$doc])* $variant = $value,)+
        }

        impl $name {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The number that stands for it in a model file.
            #[inline(always)]
            #[must_use]
            pub const fn number(self) -> $number {
                self as $number
            }

            /// What a number in a model file stands for; `None` for one that means nothing.
            #[inline(always)]
            #[must_use]
            #[allow(non_upper_case_globals)]
            pub const fn from_number(number: $number) -> Option<Self> {
                $(const $variant: $number = $name::$variant as $number;)+
                match number {
                    $($variant => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use numbered;

#[cfg(test)]
mod tests {
    use crate::cell::Gate;
    use crate::front_end::Level;
    use crate::kernel::RowsForm;
    use crate::model::layout::{MapKind, Section};
    use crate::model::{InputType, NextFrame, OutputKind, Pool};
    use crate::program::Store;

    /// The numbers are those of files that are out there.
    #[test]
    fn numbers_are_the_released_ones() {
        assert_eq!(InputType::ALL.iter().map(|v| v.number()).max(), Some(2));
        assert_eq!(InputType::from_number(0), Some(InputType::U8));
        assert_eq!(InputType::from_number(1), Some(InputType::I8));
        assert_eq!(InputType::from_number(2), Some(InputType::I16));
        assert_eq!(Gate::from_number(0), Some(Gate::Sigmoid));
        assert_eq!(Gate::from_number(1), Some(Gate::HardSigmoid));
        assert_eq!(Pool::from_number(0), Some(Pool::Last));
        assert_eq!(Pool::from_number(1), Some(Pool::Mean));
        assert_eq!(Pool::from_number(2), Some(Pool::Recent));
        assert_eq!(Pool::from_number(3), Some(Pool::Sum));
        assert_eq!(Pool::from_number(4), Some(Pool::Canvas));
        assert_eq!(OutputKind::from_number(0), Some(OutputKind::Classes));
        assert_eq!(OutputKind::from_number(1), Some(OutputKind::Values));
        assert_eq!(OutputKind::from_number(2), Some(OutputKind::Bits));
        assert_eq!(NextFrame::from_number(0), Some(NextFrame::Pushed));
        assert_eq!(NextFrame::from_number(1), Some(NextFrame::Drawn));
        assert_eq!(NextFrame::from_number(2), Some(NextFrame::Latent));
        assert_eq!(MapKind::from_number(1), Some(MapKind::Program));
        assert_eq!(MapKind::from_number(2), Some(MapKind::Dense));
        assert_eq!(RowsForm::from_number(0), Some(RowsForm::Pairs));
        assert_eq!(RowsForm::from_number(1), Some(RowsForm::Bytes));
        assert_eq!(Level::from_number(0), Some(Level::Absolute));
        assert_eq!(Level::from_number(1), Some(Level::Relative));
        let stores = [
            Store::Pairs,
            Store::Columns,
            Store::AddRows,
            Store::Scatter,
            Store::AddScatter,
        ];
        assert_eq!(Store::ALL, stores);
        assert!((0..).zip(stores).all(|(n, store)| store.number() == n));
        assert_eq!(Section::from_number(0x4154_454D), Some(Section::Meta));
    }

    #[test]
    fn every_number_comes_back_and_no_other() {
        assert!(
            Section::ALL
                .iter()
                .all(|&v| Section::from_number(v.number()) == Some(v))
        );
        assert!((5..=u8::MAX).all(|n| Store::from_number(n).is_none()));
        assert!((3..=u8::MAX).all(|n| InputType::from_number(n).is_none()));
        assert!((2..=u8::MAX).all(|n| Gate::from_number(n).is_none()));
        assert!((5..=u8::MAX).all(|n| Pool::from_number(n).is_none()));
        assert!((3..=u8::MAX).all(|n| OutputKind::from_number(n).is_none()));
        assert!((3..=u8::MAX).all(|n| NextFrame::from_number(n).is_none()));
        assert!((2..=u16::MAX).all(|n| Level::from_number(n).is_none()));
        assert!(
            [0, 3, u32::MAX]
                .iter()
                .all(|&n| MapKind::from_number(n).is_none())
        );
    }
}
