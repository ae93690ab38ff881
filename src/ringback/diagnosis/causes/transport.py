"""Causes of loss and jitter on the way: congestion, radio, a faulty path, changing routes, a small buffer."""

from __future__ import annotations

import numpy as np

from ringback.diagnosis.causes.case import Case
from ringback.diagnosis.causes.loss import MIN_RUNS_FOR_A_PATTERN
from ringback.diagnosis.causes.scene import StreamView
from ringback.diagnosis.causes.words import clock, count, ms, percent, seconds

MORE_BANDWIDTH = "More bandwidth would not help"
BIGGER_BUFFER = "A bigger jitter buffer would not help"


def queue_odds(view: StreamView) -> float:
    """How much what the delay does before losses speaks for a full queue, in nats (-4 to 4).

    By the binomial likelihood of the bursts that began while the delay was up: nearly all do if a queue
    drops them; if nothing relates them, as many as the share of time that the delay is up.
    """
    if view.delay is None or view.delay.before_loss.bursts < 2:
        return 0.0
    before = view.delay.before_loss
    chance = float(np.clip(before.by_chance, 0.02, 0.97))
    odds = before.rose * np.log(0.93 / chance) + (before.bursts - before.rose) * np.log(0.07 / (1.0 - chance))
    # Few bursts may be taken wrongly, whatever their odds.
    most = min(4.0, 0.3 + 0.5 * before.bursts)
    return float(np.clip(odds, -most, most))


def in_heaps(view: StreamView) -> float:
    """How surely losses come in heaps: 0 for p of 0.1 and more, 1 for 0.001 and less."""
    loss = view.loss
    if loss.runs < MIN_RUNS_FOR_A_PATTERN or loss.unevenness < 1.8:
        return 0.0
    return float(np.clip((-np.log10(max(loss.uneven_p, 1e-9)) - 1.0) / 2.0, 0.0, 1.0))


def congestion(view: StreamView) -> Case:
    """A queue fills, the delay grows with it, and what does not fit is dropped."""
    case = Case("congestion", "transport", prior=-1.5, streams=(view.key,))
    shape, loss = view.delay, view.loss
    if shape is not None:
        before, odds = shape.before_loss, queue_odds(view)
        # A policer, or a queue of a few packets, drops without delay; but only while there is much.
        heaps = in_heaps(view)
        if odds > 0 and before.rise_s >= 0.06:
            case.clue(
                odds,
                f"The delay rose by {ms(before.rise_ms)} in the {seconds(before.rise_s)} before "
                f"{before.rose} of {count(before.bursts, 'loss burst')}; it was up for "
                f"{percent(before.by_chance)} of the time.",
            )
        elif odds < 0 and before.bursts >= 3:
            case.clue(
                (0.9 - 0.55 * heaps) * odds,
                f"The delay stood at its floor before and after {before.still} of "
                f"{count(before.bursts, 'loss burst')}: no queue was full.",
            )
            if heaps > 0 and shape.holds < 3:
                case.clue(
                    2.5 * heaps,
                    f"{count(loss.runs, 'run')} of lost packets come in heaps without any delay, as a "
                    "policer drops them.",
                )
            elif loss.train_z > 4.0 and shape.holds < 3 and shape.spread_ms < 20.0:
                case.clue(
                    2.0,
                    f"{loss.lost - loss.runs} losses follow another directly, by chance "
                    f"{loss.lost * loss.share:.1f} would, without any delay: as a policer drops trains of "
                    "packets.",
                )
        if shape.smooth > 0.6 and before.by_chance > 0.1 and not shape.steps:
            case.clue(
                1.5,
                f"For {percent(before.by_chance)} of the time packets stood in a queue, up to "
                f"{ms(shape.largest_ms)}: neighbours have like delays (correlation {shape.smooth:.2f}).",
            )
        ramps = [e for e in shape.episodes if e.ramp]
        if ramps:
            tops = np.array([e.peak_ms for e in ramps])
            share = len(ramps) / len(shape.episodes)
            case.clue(
                0.5 + 2.0 * share * min(1.0, len(ramps) / 3),
                f"{count(len(ramps), 'time')} the delay grew like a queue, over "
                f"{seconds(float(np.median([e.rise_s for e in ramps])))} to {ms(float(np.median(tops)))} "
                "(medians).",
            )
        elif loss.runs >= 3 and heaps <= 0 and before.by_chance < 0.1:
            case.clue(-1.5, f"The delay never grew gradually; it stayed within {ms(shape.p99_ms)} (99 %).")
        if shape.holds >= 3 and shape.holds > len(ramps):
            case.clue(
                -1.5,
                f"{count(shape.holds, 'time')} packets were held up at once and came together, unlike a "
                "queue.",
            )
    else:
        case.missing.append("The delay: the packets' clock rate is not known.")
    _unevenness(case, view, 0.6)
    case.missing.append(
        "Drop counters of the queues on the way (a file for --counters would be laid over it)."
    )
    case.next_step = (
        "Look at the load and drops of the narrowest link at the times of the losses, and give voice a "
        "priority queue there (DSCP 46)."
    )
    case.useless += [f"{BIGGER_BUFFER}: packets are dropped, not late."] if loss.lost else []
    return case


def radio(view: StreamView) -> Case:
    """A radio link repeats what was not heard: packets are held up, then come together; some are given up."""
    case = Case("radio", "transport", prior=-1.5, streams=(view.key,))
    shape, loss = view.delay, view.loss
    if shape is not None:
        held = [e for e in shape.episodes if e.held]
        if held:
            share = len(held) / len(shape.episodes)
            case.clue(
                (0.7 + 2.8 * share) * min(1.0, len(held) / 4),
                f"{count(len(held), 'time')} packets were held up for "
                f"{ms(float(np.median([e.peak_ms for e in held])))} (median) between one and the next, then "
                "came together; the delay was back at once.",
            )
            _like_a_device(case, view)
        elif shape.before_loss.bursts >= 3:
            case.clue(-1.2, "No packets were held up and let go together, as radio retries do.")
        before = shape.before_loss
        together = lost_together_odds(view)
        if together > 0:
            case.clue(
                min(2.0, 0.7 * together),
                f"{shape.lost_in_episodes} of {count(loss.lost, 'lost packet')} are among those held up, "
                f"which are {percent(shape.episode_share)} of all.",
            )
        if before.bursts >= 3 and queue_odds(view) > 1.0 and before.rise_s >= 0.06:
            case.clue(
                -0.6 * queue_odds(view),
                f"The delay grew for {seconds(before.rise_s)} before {before.rose} of {before.bursts} loss "
                "bursts, as in a queue.",
            )
    if loss.runs >= 4 and loss.clustering > 1.4:
        case.clue(
            min(1.2, 0.6 * loss.clustering - 0.4),
            f"Losses come in runs of {loss.run_length.mean():.1f} (mean) where chance would make "
            f"{1 / (1 - loss.share):.1f}.",
        )
    elif loss.runs >= MIN_RUNS_FOR_A_PATTERN and (shape is None or lost_together_odds(view) <= 0):
        case.clue(-0.8, f"{percent(loss.single_share)} of the losses are of single packets, as if by chance.")
    case.missing.append("Signal, retries and roaming from the access point or the phone at these times.")
    case.next_step = (
        "Repeat the call by cable; if it is clean, look at channel use, signal and roaming of this device."
    )
    case.useless += [
        f"{MORE_BANDWIDTH}: the losses do not follow a full queue.",
        "Priority by DSCP in the wired network would not help: it does not reach the radio's retries.",
    ]
    return case


def _surely_even(p: float) -> float:
    """0 for losses that chance would make so uneven once in fifty times, 1 for once in three."""
    return float(np.clip((np.log10(max(p, 1e-9)) + 1.7) / 1.2, 0.0, 1.0))


def _like_a_device(case: Case, view: StreamView) -> None:
    """What is held up by a device that stalls, or by service in turns, and not by a radio's retries."""
    shape = view.delay
    if shape is None:
        return
    if shape.in_turns:
        case.clue(
            -3.0,
            f"{percent(shape.together)} of all packets come right after another: they are sent or served in "
            "turns.",
        )
    if shape.holds >= 4 and shape.lost_in_episodes == 0:
        case.clue(-1.2, f"Not one packet was lost in {shape.holds} times that they were held up.")
    if shape.holds >= 5 and shape.unlike < 1.8:
        case.clue(
            -1.2,
            f"They were held up for nearly the same time each time (90th percentile {shape.unlike:.1f} "
            "times the 10th).",
        )
    elif shape.unlike > 2.5:
        case.clue(
            0.8, f"How long varies, as retries do: the 90th percentile is {shape.unlike:.1f} times the 10th."
        )
    if view.loss.runs >= 4 and view.loss.clustering > 1.8 and view.loss.single_share < 0.25:
        case.clue(
            -1.2,
            f"Losses come in whole runs of {view.loss.run_length.mean():.1f} packets (mean), hardly one "
            "alone.",
        )


def lost_together_odds(view: StreamView) -> float:
    """How much more packets are lost while the delay is up than chance would have it, in nats (-3 to 3)."""
    shape = view.delay
    if shape is None or view.loss.lost < 3 or not shape.episodes:
        return 0.0
    chance = float(np.clip(shape.episode_share, 0.02, 0.97))
    inside = min(shape.lost_in_episodes, view.loss.lost)
    # Losses of one burst are one event.
    events = min(1.0, max(3, len(view.loss.burst_at)) / view.loss.lost)
    odds = inside * np.log(0.85 / chance) + (view.loss.lost - inside) * np.log(0.15 / (1.0 - chance))
    return float(np.clip(events * odds, -3.0, 3.0))


def constant_path_fault(view: StreamView) -> Case:
    """Something on the way breaks packets at an even rate, whatever the load: a cable, an optic, a duplex."""
    case = Case("constant-path-fault", "transport", prior=-1.5, streams=(view.key,))
    loss, shape = view.loss, view.delay
    if loss.runs < MIN_RUNS_FOR_A_PATTERN:
        case.missing.append(f"More losses: {loss.runs} are too few to see whether they lie evenly.")
    else:
        if loss.period_s is not None:
            case.clue(
                -2.5,
                f"Losses come every {seconds(loss.period_s)}: something does that on purpose or by a timer.",
            )
        elif loss.uneven_p > 0.02 and loss.seconds_with_loss > 0.5:
            case.clue(
                1.8 * min(1.0, loss.runs / 15) * _surely_even(loss.uneven_p),
                f"{count(loss.lost, 'loss', 'losses')} lie evenly over {seconds(view.seconds)} (variance "
                f"{loss.unevenness:.1f} times that of chance, p = {loss.uneven_p:.2f}).",
            )
        else:
            _unevenness(case, view, -1.6)
        if loss.train_z < 2.0:
            case.clue(
                1.2,
                f"They are independent: {loss.lost - loss.runs} follow another directly, by chance "
                f"{loss.lost * loss.share:.1f} would.",
            )
        elif loss.train_z > 3.0:
            case.clue(
                -min(3.0, 0.5 * loss.train_z),
                f"Losses come in trains: {loss.lost - loss.runs} follow another directly, by chance "
                f"{loss.lost * loss.share:.1f} would.",
            )
    if shape is not None and shape.before_loss.bursts >= 3:
        odds, before = queue_odds(view), shape.before_loss
        if odds < -1.0:
            case.clue(
                -0.45 * odds,
                f"The delay stood at its floor before and after {before.still} of "
                f"{count(before.bursts, 'loss', 'losses')}.",
            )
        elif odds > 0.5:
            case.clue(
                -odds,
                f"The delay was {ms(before.rise_ms)} up before {before.rose} of {before.bursts} losses.",
            )
        together = lost_together_odds(view)
        if together > 0:
            case.clue(
                -together,
                f"{shape.lost_in_episodes} of {count(loss.lost, 'lost packet')} lie where the delay was up.",
            )
    case.missing.append("Error counters (FCS, CRC, late collisions) of the ports on the way.")
    case.next_step = (
        "Read the error counters of each port on the way, twice, and change the cable or optic where they "
        "grow."
    )
    case.useless += [
        f"{MORE_BANDWIDTH}: the losses do not depend on load.",
        "QoS would not help: what is broken is dropped whatever its mark.",
        f"{BIGGER_BUFFER}: packets are lost, not late.",
    ]
    return case


def route_flap(view: StreamView) -> Case:
    """The way itself changes: the floor of the delay steps and stays, often with loss or overtaking there."""
    case = Case("route-flap", "transport", prior=-2.0, streams=(view.key,))
    shape = view.delay
    if shape is None:
        case.missing.append("The delay: the packets' clock rate is not known.")
    elif not shape.steps:
        if shape.times_s[-1] > 10:
            case.clue(-2.0, "The floor of the delay never moved by a step.")
    else:
        steps = shape.steps
        told = ", ".join(f"{s.by_ms:+.0f} ms at {clock(view.at_ns(s.at_s))}" for s in steps[:4])
        case.clue(
            2.6 + 0.4 * min(2, len(steps) - 1),
            "The floor of the delay moved from one packet to the next and stayed: "
            f"{told}{' and so on' if len(steps) > 4 else ''}.",
        )
        near = sum(step.lost_near > 0 for step in steps)
        if near:
            lost = sum(step.lost_near for step in steps)
            case.clue(
                0.8 * near / len(steps) + min(1.5, 2.0 * lost / max(1, view.loss.runs)),
                f"{lost} of {count(view.loss.runs, 'run')} of lost packets lie within 1 s of "
                f"{'a step' if near > 1 else 'the step'}.",
            )
        elif view.loss.runs >= 4:
            case.clue(-2.0, f"None of the {view.loss.runs} runs of lost packets lies within 1 s of a step.")
        if view.measured.reordered:
            case.clue(0.4, f"{count(view.measured.reordered, 'packet')} overtook others.")
        ttls = [n for n in view.measured.ttl.values() if n >= 20]
        if len(ttls) > 1:
            case.clue(1.5, f"The TTL took {len(ttls)} values: the number of hops changed.")
    case.missing.append("Traceroutes or routing logs from the times of the steps.")
    case.next_step = (
        "Ask who runs the routers or the SD-WAN for path changes at these times; traceroute both ways now."
    )
    case.useless += [f"{MORE_BANDWIDTH}: the path changes, it is not full."]
    return case


def small_buffer(view: StreamView) -> Case:
    """Packets come, but unevenly: a buffer of 50 ms plays without those that a bigger one would have."""
    case = Case("jitter-with-a-small-buffer", "transport", prior=-1.5, streams=(view.key,))
    late, lost = _late(view), view.loss.share
    if late >= 0.003:
        case.clue(
            min(2.5, 1.0 + 40.0 * late),
            f"{percent(late)} of the packets come too late for a buffer of 40 to 50 ms, "
            f"{percent(view.late_share_200)} for one of 200 ms.",
        )
        if late > 3 * lost:
            case.clue(
                1.2, f"Of all packets {percent(lost)} were lost on the way, {percent(late)} were only late."
            )
        elif lost > late:
            case.clue(
                -min(3.0, 0.8 * lost / late),
                f"More packets were lost ({percent(lost)}) than late ({percent(late)}).",
            )
        _uneven_delay(case, view)
        if lost_together_odds(view) > 1.0:
            case.clue(
                -1.5,
                f"{count(view.loss.lost, 'packet')} were lost among those that were late: something gave up "
                "on them.",
            )
        if view.hops == 0:
            case.clue(
                -2.0, "No router lies between its sender and here (0 hops by the TTL): it was sent as it is."
            )
    else:
        case.clue(-2.5, f"Only {percent(late)} of the packets come too late for a buffer of 40 to 50 ms.")
    _discards(case, view)
    case.next_step = (
        f"Set the receiver's jitter buffer to adaptive, up to {_buffer_for(view)} ms at least, and find "
        "what makes the jitter."
    )
    case.useless += [f"{MORE_BANDWIDTH} by itself: {percent(1 - lost)} of the packets arrive."]
    return case


def _late(view: StreamView) -> float:
    """Share of packets that a short buffer plays without, whenever it began."""
    return max(view.late_share, view.delay.over_40 if view.delay is not None else 0.0)


def _uneven_delay(case: Case, view: StreamView) -> None:
    """How the delay of a stream varies: by itself, like a queue, with its floor or with a clock."""
    shape = view.delay
    if shape is None:
        return
    if shape.in_turns:
        case.clue(
            1.8,
            f"{percent(shape.together)} of the packets come right after another, all the time: they are "
            "served in turns.",
        )
    elif shape.smooth < 0.5 and shape.holds < 0.5 * len(shape.episodes):
        case.clue(
            0.8,
            f"Delays of neighbouring packets differ (correlation {shape.smooth:.2f}): no queue stands.",
        )
    if shape.ramps >= 3 and shape.ramps > len(shape.episodes) / 2:
        case.clue(-0.8, f"{count(shape.ramps, 'time')} the delay grew like a queue.")
    if abs(shape.drift_ms_per_s) * view.seconds > 30.0 and shape.p99_ms < 45:
        case.clue(
            -2.5,
            f"Without the slow drift of the clocks 99 % of the packets come within {ms(shape.p99_ms)} of "
            "each other.",
        )
    if shape.steps:
        case.clue(-1.5, f"The floor of the delay moved {count(len(shape.steps), 'time')}.")


def _discards(case: Case, view: StreamView) -> None:
    """What the receiver says that its buffer threw away."""
    reported = view.reported
    if reported is not None and reported.discard_share is not None:
        if reported.discard_share > 0.003:
            case.clue(1.5, f"The receiver says by XR that it discarded {percent(reported.discard_share)}.")
        elif _late(view) >= 0.003:
            case.clue(-1.0, f"The receiver says by XR that it discarded {percent(reported.discard_share)}.")
    else:
        case.missing.append("How long the receiver's buffer is, and what it discarded (RTCP XR).")


def _buffer_for(view: StreamView) -> int:
    top = view.delay.p99_ms if view.delay is not None else 4.0 * view.measured.jitter_ms.max
    return int(np.ceil(max(top, 60.0) / 20.0) * 20)


def _unevenness(case: Case, view: StreamView, weight: float) -> None:
    loss, heaps = view.loss, in_heaps(view)
    if loss.runs < MIN_RUNS_FOR_A_PATTERN:
        return
    if heaps > 0.2:
        case.clue(
            weight * heaps * min(2.0, loss.unevenness / 3),
            f"Losses come in heaps: their number varies {loss.unevenness:.1f} times as much as chance would "
            f"let it (p {'< 0.001' if loss.uneven_p < 0.001 else f'= {loss.uneven_p:.3f}'}).",
        )
    elif weight > 0 and loss.uneven_p > 0.05 and loss.seconds_with_loss > 0.6:
        case.clue(
            -weight * min(1.0, loss.runs / 40), f"Losses lie evenly over the call (p = {loss.uneven_p:.2f})."
        )
