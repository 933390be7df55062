//! Schedules that are resources of their own: `EventBridge`'s rules and its scheduler.

use std::rc::Rc;

use super::{Resource, event::quiet_map, expression::Reader, lower::Lowering, schedule};
use crate::evaluator::Opened;

pub(super) fn lower(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) {
    let (targets, reader) = match &*resource.kind {
        "AWS::Events::Rule" => ("Targets", Reader::Rule),
        "AWS::Scheduler::Schedule" => ("Target", Reader::Scheduler),
        _ => return,
    };
    let Some(expression) = resource.property("ScheduleExpression").cloned() else { return };
    let Some(targets) = resource.property(targets).cloned() else { return };
    let targets = match this.ev.open(&targets) {
        Opened::Node(node) => match node.items() {
            Some(items) => items.to_vec(),
            None => vec![node],
        },
        Opened::Absent | Opened::Unknown(_) => return,
    };
    let what = Lowering::what(resource, "the schedule");
    let state = resource.property("State").cloned();
    let state = state.and_then(|node| this.ev.known(&node, &what));
    let enabled = state.is_none_or(|text| !text.text.eq_ignore_ascii_case("DISABLED"));
    for target in targets {
        let Some(target) = quiet_map(this, &target) else { continue };
        let Some(arn) = target.get("Arn").cloned() else { continue };
        let arn = this.ev.eval(&arn);
        let Some(function) = this.function_of(&arn) else { continue };
        let expression_span = expression.span();
        let expression = this.ev.known(&expression, &what).map(|text| text.text.to_string());
        let input =
            target.get("Input").cloned().and_then(|node| schedule::input(this, &node, &what));
        schedule::add(
            this,
            schedule::New {
                function: &function,
                name: resource.id.to_string(),
                expression,
                input,
                enabled,
                span: resource.span(),
                expression_span,
                reader,
            },
        );
    }
}
