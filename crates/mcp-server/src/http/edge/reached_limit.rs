//! Which limit a request ran into, for the metrics.

use actix_web::HttpRequest;

use super::{
    error::{HttpError, state},
    request_info::method,
};
use crate::{
    budgets::OverBudget,
    metrics::{Limit, Method},
};
use resource_server::limits::Limited;

impl HttpError {
    /// Counts the limit, if the error is that one is reached.
    pub(super) fn count_limit(&self, request: &HttpRequest) {
        if let Some(limit) = self.limit(request) {
            state(request).metrics.limit_reached(limit);
        }
    }

    fn limit(&self, request: &HttpRequest) -> Option<Limit> {
        Some(match self {
            Self::LimitExceeded(exceeded) => match exceeded.what {
                Limited::UnverifiedTokens => Limit::UnknownTokens,
                Limited::User => Limit::RequestsOfUser,
                Limited::Client => Limit::RequestsOfClient,
                Limited::Secrets => Limit::WrongSecrets,
            },
            Self::OverBudget { over, .. } => match over {
                OverBudget::Requests { .. } => Limit::RequestsUnderWay,
                OverBudget::Own(_) => Limit::MemoryOfCaller,
                OverBudget::Process(_) => Limit::Memory,
            },
            Self::ShareUsedUp { .. } => Limit::ShareOfUser,
            // What these two methods open is what there may be no more of.
            Self::Busy(_) => match method(request) {
                Method::Initialize => Limit::Sessions,
                Method::Listen => Limit::Streams,
                _ => Limit::Concurrency,
            },
            _ => return None,
        })
    }
}
