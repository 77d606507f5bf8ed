"""Which parameters a form asks for."""

from whitecrow.core import registry
from whitecrow.core.parameters import fields
from whitecrow.dashboard.parameter_form import form_fields


def test_a_form_asks_for_all_that_a_request_may_set():
    cls = registry.load("autoencoder")
    own, shared = ([field.name for field in part] for part in form_fields(cls))
    assert {*own, *shared} == fields(cls).keys() - {"regime", "random_state", "checkpoint", "verbose", "device"}
    assert "latent_dim" in own
    assert "contamination" in shared
    assert not set(own) & set(shared)
