//! The user behind the token.

use crate::{domain::uris, scopes, views::UserView};
use mcp_server::features::{
    context::ReadContext,
    resource::{Contents, Resource},
    tool_error::ToolError,
};

/// `epicme://users/current`
pub(super) struct CurrentUser;

impl Resource for CurrentUser {
    const URI: &'static str = uris::CURRENT_USER;
    const NAME: &'static str = "user";
    const TITLE: &'static str = "User";
    const DESCRIPTION: &'static str = "The user whom this connection speaks for.";
    const SCOPES: &'static [&'static str] = &[scopes::USER_READ];

    async fn read(&self, context: ReadContext) -> Result<Contents, ToolError> {
        Contents::json(&UserView::from(&**context.principal()))
    }
}
