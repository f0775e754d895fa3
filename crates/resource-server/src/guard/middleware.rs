//! The middleware and the extractor for routes that need scopes.

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest,
    body::{BoxBody, MessageBody},
    dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform},
    error::ErrorInternalServerError,
};

use super::{refused::Refused, state::Guard};
use crate::{
    principal::Principal,
    scope::{ScopeError, ScopeSet},
    trace_context::{Trace, TraceContext},
    validation::Refusal,
};

/// Middleware that requires certain scopes: see [`Guard::protect`].
#[derive(Clone)]
pub struct Protected {
    guard: Guard,
    needed: ScopeSet,
}

/// The caller of a protected route. Extracting it on a route without [`Protected`] fails with 500.
#[derive(Clone, Debug)]
pub struct Authorized {
    /// The user and the client behind the token of this very request.
    pub principal: Arc<Principal>,
}

impl Guard {
    /// The middleware for routes that require these scopes. Their handlers can extract [`Authorized`].
    ///
    /// Requests without a valid token are answered with 401, those without the scopes with 403
    /// (RFC 6750 §3.1), and 503 while the authorization server is unavailable.
    ///
    /// # Errors
    /// [`ScopeError::Undeclared`].
    pub fn protect(&self, scopes: &[&str]) -> Result<Protected, ScopeError> {
        let needed = self.scopes().set(scopes)?;
        Ok(Protected {
            guard: self.clone(),
            needed,
        })
    }
}

impl FromRequest for Authorized {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let authorized = request.extensions().get::<Self>().cloned();
        ready(authorized.ok_or_else(|| {
            log::error!(
                "a handler extracts `Authorized` on a route without the middleware `Protected`"
            );
            ErrorInternalServerError("the route is not protected")
        }))
    }
}

impl<S, B> Transform<S, ServiceRequest> for Protected
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type InitError = ();
    type Transform = ProtectedService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(ProtectedService {
            service: Rc::new(service),
            protected: self.clone(),
        }))
    }
}

/// A route behind [`Protected`].
pub struct ProtectedService<S> {
    service: Rc<S>,
    protected: Protected,
}

impl<S, B> Service<ServiceRequest> for ProtectedService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, protected) = (Rc::clone(&self.service), self.protected.clone());
        Box::pin(async move {
            let guard = &protected.guard;
            let authorized = protected.authorize(request.request()).await;
            match authorized {
                Ok(authorized) => {
                    request.extensions_mut().insert(authorized);
                    Ok(service.call(request).await?.map_into_boxed_body())
                }
                Err(refused) => {
                    let response = refused.response(guard, request.request());
                    Ok(request.into_response(response))
                }
            }
        })
    }
}

impl Protected {
    async fn authorize(&self, request: &HttpRequest) -> Result<Authorized, Refused> {
        let guard = &self.guard;
        let context = TraceContext::from(Trace::begin(request.headers()));
        let authenticated = guard.authenticate(request, &context).await?;
        let principal = authenticated.principal;
        match guard.scopes().require(principal.scopes, self.needed) {
            Ok(()) => Ok(Authorized { principal }),
            Err(needed) => Err(Refused::token(
                Refusal::InsufficientScope { needed },
                &authenticated.token,
            )),
        }
    }
}
