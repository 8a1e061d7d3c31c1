"""What a learner found is brought into a form that a rule bundle can hold, or refused."""

from cds_engine.errors import EstimationError
from cds_engine.estimate.basis import Term as ColumnTerm
from cds_engine.estimate.columns import Floats
from cds_engine.estimate.export.forms import LinearForm, Term
from cds_engine.estimate.linear_stage import LinearStage, contrast_map


def linear_form(model: LinearStage, reference: str, covariance: Floats | None = None) -> LinearForm:
    """Return the contrasts of a linear stage with a reference action.

    Args:
        model: the fitted stage.
        reference: the action with which the others are compared.
        covariance: of the stage's coefficients, from a bootstrap that refits all stages.

    Raises:
        EstimationError: if a tailoring term is a product, which scores cannot hold.
    """
    design, actions = model.design, model.spec.actions
    columns = [design.basis.terms[at] for at in design.tailoring]
    terms = [_term(column, model.spec.stage) for column in columns]
    others = [action for action in actions if action != reference]
    width = len(terms)
    whole = contrast_map(design, reference).reshape(len(actions), width, design.size)
    loads = whole[[actions.index(one) for one in others]].reshape(-1, design.size)
    values = loads @ model.coefficients
    keys = [(action, term) for action in others for term in terms]
    coefficients = dict(zip(keys, map(float, values), strict=True))
    return LinearForm(
        reference, coefficients, None if covariance is None else loads @ covariance @ loads.T
    )


def _term(column: ColumnTerm, stage: str) -> Term:
    if len(column.factors) > 1:
        raise EstimationError(
            f"stage {stage}: the tailoring term {column.name} is a product, and the scores of a "
            "rule bundle are sums; declare the product as a variable, or learn a tree"
        )
    if not column.factors:
        return Term()
    [factor] = column.factors
    return Term(factor.variable, factor.level)
