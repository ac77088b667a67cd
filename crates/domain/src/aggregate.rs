//! How a page of plain rules becomes a `cqrs-es` aggregate: `decide` is pure, and the framework's `handle` calls it.

use cqrs_es::Aggregate;

/// The pure half of an aggregate. `cqrs-es` names the other half, [`Aggregate::apply`].
pub trait Decide: Aggregate {
    /// The facts that follow from the command in this state, or why it is refused. No facts: nothing to do.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;
}

/// Implements [`Aggregate`] over [`Decide`] and an inherent `evolve(&mut self, &Event)`.
macro_rules! aggregate {
    ($name:ident, $category:expr, $command:ty, $refusal:ty) => {
        impl cqrs_es::Aggregate for $name {
            const TYPE: &'static str = $category.as_str();
            type Command = $command;
            type Event = $crate::Event;
            type Error = $refusal;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                (): &(),
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in $crate::Decide::decide(self, command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.evolve(&event);
            }
        }
    };
}
pub(crate) use aggregate;
