//! Authentication of a request by the guard, its audit events and its rate limits.

use std::sync::Arc;

use actix_web::HttpRequest;
use resource_server::{
    auth::{AuthWorker, RevocationEpoch},
    bearer::BearerToken,
    guard::{Authenticated, Refused},
    validation::Refusal,
};

use crate::{
    audit::{Event, Origin},
    budgets::{Account, Held, InFlight, Payer, Taken},
    connections::Connection,
    http::{
        edge::{
            body::Accepted,
            error::HttpError,
            request_info::{address, note, trace_context},
        },
        state::AppState,
    },
    request_context::RequestContext,
};

/// The caller of a request.
pub(crate) struct Caller {
    /// The user, the client and the request.
    pub(crate) context: RequestContext,
    /// The token, for streams that stay open.
    pub(crate) token: BearerToken,
    /// The revocation epoch before the token was checked.
    pub(crate) epoch: RevocationEpoch,
    /// Validates the token again.
    pub(crate) worker: AuthWorker,
    /// What the user may use of the server.
    pub(crate) account: Account,
    /// What the body takes of it.
    pub(crate) body: Option<Arc<Taken>>,
    /// What the client accepts as the response.
    pub(crate) accepts: Accepted,
    #[expect(dead_code, reason = "held for its drop")]
    in_flight: InFlight,
}

impl Caller {
    /// For a call that may go on after its request.
    pub(crate) fn held(&self) -> Held {
        Held::new(self.account.keep(), self.body.clone())
    }
}

/// Authenticates a request.
///
/// # Errors
/// A challenge if the credentials are missing or invalid, or if the token has none of the declared scopes; an
/// outage of the authorization server; an exceeded rate limit.
pub(crate) async fn authenticate(
    request: &HttpRequest,
    state: &AppState,
) -> Result<Caller, HttpError> {
    let context = trace_context(request);
    let trace = context.trace;
    let address = address(request);
    let audited = |refused| audited(refused, state, Origin::anonymous(trace, address));
    let identified = state.guard.identify(request, &context).await;
    let identified = identified.map_err(audited)?;
    let principal = Arc::clone(identified.principal());
    if let Some(connection) = request.conn_data::<Arc<Connection>>() {
        connection.prove(principal.user);
    }
    note(request, |info| info.principal = Some(principal));
    let Authenticated {
        principal,
        token,
        epoch,
        worker,
    } = identified.admit().map_err(audited)?;
    let context = RequestContext {
        principal,
        trace,
        address,
    };
    let principal = &context.principal;
    let account = state.budgets.account(Payer::User(principal.user));
    let in_flight = account.begin()?;
    // Where scopes are declared, a token without any of them is of no use.
    let challenger = state.guard.challenger();
    let declared = &challenger.scopes;
    if principal.scopes.is_empty() && !declared.all().is_empty() {
        let needed = challenger.baseline;
        let names = Vec::from_iter(declared.names(needed)).join(",");
        let event = Event::ScopeRefused { needed: &names };
        state.audit.log(event, Origin::of(&context));
        return Err(HttpError::Refused(Refusal::InsufficientScope { needed }));
    }
    Ok(Caller {
        context,
        token,
        epoch,
        worker,
        account,
        body: None,
        accepts: Accepted::ANYTHING,
        in_flight,
    })
}

/// Logs that credentials are refused.
fn audited(refused: Refused, state: &AppState, origin: Origin<'_>) -> HttpError {
    if let Refused::Credentials { refusal, token } = &refused {
        let event = Event::TokenRefused {
            refusal: *refusal,
            token: token.as_ref(),
        };
        state.audit.log(event, origin);
    }
    HttpError::from(refused)
}
