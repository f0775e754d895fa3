//! What a session does with the news of other processes.

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};

use super::{
    actor::SessionActor,
    gather::Reload,
    news::{Answer, News},
    server_requests::QuestionId,
};
use mcp_protocol::jsonrpc::Id;

/// News of a session, from another process.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Heard(pub(crate) News);

impl Handler<Heard> for SessionActor {
    type Result = ();

    fn handle(&mut self, Heard(news): Heard, context: &mut Context<Self>) {
        match news {
            News::Gathered => context.notify(Reload),
            News::Ended => self.end(context),
            News::Cancelled(id) => {
                if let Some(id) = Id::parse(&id) {
                    self.cancel(&id, context);
                }
            }
            News::Answered(answer) => self.take_answer(answer),
            News::AnswerKept(question) => self.fetch_answer(question, context),
            News::Scopes(scopes) => {
                // Nobody else is to be told.
                if self.listener.is_some() {
                    let scopes = self.dispatcher.scopes().parse(&scopes);
                    self.note_scopes(scopes);
                }
            }
        }
    }
}

impl SessionActor {
    /// The client has answered in another process. As here, its token needs the scopes of the call that asks; unlike
    /// here, nobody can tell the client that it lacks them. The question stays open then.
    fn take_answer(&self, answer: Answer) {
        let Answer {
            question,
            scopes,
            result,
        } = answer;
        let Some(question) = QuestionId::parse(&question) else {
            return;
        };
        let scopes = self.dispatcher.scopes().parse(&scopes);
        let server_requests = &self.io.server_requests;
        if server_requests.answer(question, result, scopes).is_err() {
            log::info!("an answer from another process came with a token that lacks scopes");
        }
    }

    /// Fetches a long answer, if this process waits for it.
    fn fetch_answer(&self, question: String, context: &mut Context<Self>) {
        let awaits = QuestionId::parse(&question)
            .is_some_and(|question| self.io.server_requests.awaits(question));
        let Some(kept) = self.gathering.kept().filter(|_| awaits).cloned() else {
            return;
        };
        let fetched = async move { kept.shared.fetch_answer(&kept.session, &question).await };
        context.spawn(fetched.into_actor(self).map(|fetched, session, _| {
            match fetched.map(|text| text.map(|text| serde_json::from_str(&text))) {
                Ok(Some(Ok(answer))) => session.take_answer(answer),
                Ok(None | Some(Err(_))) => log::warn!("an answer from another process is gone"),
                Err(error) => log::warn!("an answer from another process cannot be read: {error}"),
            }
        }));
    }
}
