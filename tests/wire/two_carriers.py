"""Two carriers that relay calls to one phone; what goes wrong at the first of them depends on the number."""

from __future__ import annotations

from pathlib import Path

from tests.wire.kamailio import Kamailio

SILENT, RESTING, CODEC, PASSWORD = "15550111", "15550112", "15550113", "15550114"
"""What the first carrier does not answer, refuses for a while, has no codec for, takes no password for."""
REST_S = 600

SCRIPT = """
modparam("auth", "secret", "of the test")
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS") && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{ loose_route(); t_relay(); exit; }}
    if ("{name}" == "alpha" && is_method("INVITE")) {{
        if ($rU == "15550111") exit;
        if ($rU == "15550112") {{
            xlog("alpha is full\\n");
            append_to_reply("Retry-After: {rest_s}\\r\\n");
            sl_send_reply("503", "No Line");
            exit;
        }}
        if ($rU == "15550113") {{ sl_send_reply("488", "No Such Codec"); exit; }}
        if ($rU == "15550114") {{ proxy_challenge("carrier.example", "1"); exit; }}
    }}
    record_route();
    xlog("{name} takes $rU from $fU diverted by $hdr(Diversion)\\n");
    $rU = "{number}";
    $du = "sip:127.0.0.1:{phone}";
    t_relay();
}}
"""


def two_carriers(folder: Path, number: str, phone: int, rest_s: int = REST_S) -> tuple[Kamailio, Kamailio]:
    """Both, not started; whatever is called, the phone at that port of loopback rings, which has `number`."""
    values = {"number": number, "phone": phone, "rest_s": rest_s}
    alpha, beta = (Kamailio(folder / name, SCRIPT, name=name, **values) for name in ("alpha", "beta"))
    return alpha, beta


def taken(carrier: Kamailio) -> list[str]:
    """What the carrier said of the calls that it took, one line each."""
    lines = (line.partition(" takes ")[2] for line in carrier.log().splitlines() if " takes " in line)
    return [line.strip() for line in lines]
