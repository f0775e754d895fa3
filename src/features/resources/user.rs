//! Who the token speaks for.

use crate::{
    domain::{
        journal::{Change, JournalError},
        scope::{Scope, ScopeSet},
    },
    features::{resource::Resource, tool::Reader, views::UserView},
};

/// `epicme://users/current`
pub(super) struct CurrentUser;

impl Resource for CurrentUser {
    const URI: &'static str = "epicme://users/current";
    const NAME: &'static str = "user";
    const TITLE: &'static str = "User";
    const DESCRIPTION: &'static str = "The user whom this connection speaks for.";
    const SCOPES: ScopeSet = ScopeSet::of(&[Scope::UserRead]);
    const CHANGES_WITH: Option<Change> = None;

    type Contents = UserView;

    async fn read(reader: Reader) -> Result<UserView, JournalError> {
        Ok(UserView::from(&*reader.principal))
    }
}
