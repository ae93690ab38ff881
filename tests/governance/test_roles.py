"""Roles: an administrator may everything, the others only what their work needs."""

from ringback.governance.roles import LOCAL_ADMINISTRATOR, PERMISSIONS, Identity, Permission, Role


def test_every_role_has_its_permissions():
    assert set(PERMISSIONS) == set(Role)
    assert PERMISSIONS[Role.ADMIN] == set(Permission) - {Permission.VOICEMAIL_ARCHIVES}


def test_only_administrators_write_what_is_kept():
    for role in (Role.HELPDESK, Role.AUDITOR, Role.USER):
        assert not [p for p in PERMISSIONS[role] if p.value.endswith(":write")]


def test_helpdesk_helps_in_a_meeting_but_does_not_see_its_pins():
    helpdesk = Identity("Ada", Role.HELPDESK)
    assert helpdesk.may(Permission.PARTICIPANTS_CONTROL)
    assert not helpdesk.may(Permission.MEETING_SECRETS_READ)


def test_an_auditor_sees_no_numbers_and_changes_nothing():
    auditor = Identity("Ada", Role.AUDITOR)
    assert not auditor.may(Permission.NUMBERS_READ)
    assert not auditor.may(Permission.PARTICIPANTS_CONTROL)


def test_the_local_administrator_may_all_that_administrators_may():
    assert {one for one in Permission if LOCAL_ADMINISTRATOR.may(one)} == PERMISSIONS[Role.ADMIN]
