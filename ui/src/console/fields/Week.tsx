// The hours of a week: painted on a grid with the pointer, or written in lines with the keyboard.

import { useRef, useState } from "preact/hooks";
import { Icon } from "../Icon";
import {
  clock,
  DAYS,
  type Day,
  dayName,
  isOpen,
  MINUTES,
  painted,
  type Span,
  spansOf,
  type Week,
  weekOf,
} from "../week";

const STEP = 30;
const CELLS = MINUTES / STEP;

interface Props {
  label: string;
  value: Span[];
  onChange: (spans: Span[]) => void;
}

export function WeekField({ label, value, onChange }: Props) {
  const change = (index: number, next: Partial<Span>) =>
    onChange(value.map((span, at) => (at === index ? { ...span, ...next } : span)));
  return (
    <div class="week">
      <Grid week={weekOf(value)} onPaint={(week) => onChange(spansOf(week))} />
      <ul class="spans" aria-label={label}>
        {value.map((span, index) => (
          <li key={index}>
            <fieldset class="days">
              <legend class="unseen">Days of line {index + 1}</legend>
              {DAYS.map((day) => (
                <label key={day} class="day" title={dayName(day, "long")}>
                  <input
                    type="checkbox"
                    checked={span.days.includes(day)}
                    onChange={() =>
                      change(index, {
                        days: DAYS.filter((one) => (one === day) !== span.days.includes(one)),
                      })
                    }
                  />
                  <span>{dayName(day)}</span>
                </label>
              ))}
            </fieldset>
            <span class="times">
              <Clock
                label={`From, line ${index + 1}`}
                value={span.from}
                onChange={(from) => change(index, { from })}
              />
              <span class="soft">to</span>
              <Clock
                label={`To, line ${index + 1}`}
                value={span.to}
                onChange={(to) => change(index, { to })}
              />
              <button
                type="button"
                class="icon-button"
                aria-label={`Take line ${index + 1} away`}
                onClick={() => onChange(value.filter((_, at) => at !== index))}
              >
                <Icon of="close" />
              </button>
            </span>
          </li>
        ))}
      </ul>
      <button
        type="button"
        class="quiet small"
        onClick={() =>
          onChange([
            ...value,
            value.length
              ? { days: ["sat"], from: "10:00", to: "14:00" }
              : { days: ["mon", "tue", "wed", "thu", "fri"], from: "09:00", to: "17:00" },
          ])
        }
      >
        <Icon of="plus" /> Add hours
      </button>
    </div>
  );
}

/** A time of day; 24:00 is the end of the day, which a time input does not know. */
function Clock({
  label,
  value,
  onChange,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
}) {
  return (
    <input
      class="clock"
      type="text"
      inputMode="numeric"
      maxLength={5}
      aria-label={label}
      value={value}
      onChange={(event) => {
        const match = /^(\d{1,2})(?::?(\d{2}))?$/.exec(event.currentTarget.value.trim());
        const at = match ? Number(match[1]) * 60 + Number(match[2] ?? 0) : -1;
        if (at >= 0 && at <= MINUTES) onChange(clock(at));
        else event.currentTarget.value = value;
      }}
    />
  );
}

function Grid({ week, onPaint }: { week: Week; onPaint: (week: Week) => void }) {
  const [stroke, setStroke] = useState<{ day: Day; from: number; to: number; open: boolean } | null>(null);
  const grid = useRef<HTMLDivElement>(null);
  const cellAt = (event: PointerEvent): number => {
    const row = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const cell = Math.floor(((event.clientX - row.left) / row.width) * CELLS);
    return Math.max(0, Math.min(CELLS - 1, cell));
  };
  const shown = stroke ? painted(week, stroke.day, pieceOf(stroke.from, stroke.to), stroke.open) : week;
  return (
    <div class="grid" aria-hidden="true" ref={grid}>
      <div class="hours">
        {[0, 6, 12, 18, 24].map((hour) => (
          <span key={hour}>{hour}</span>
        ))}
      </div>
      {DAYS.map((day) => (
        <div key={day} class="row">
          <span class="soft">{dayName(day)}</span>
          <div
            class="cells"
            onPointerDown={(event) => {
              const cell = cellAt(event);
              event.currentTarget.setPointerCapture(event.pointerId);
              setStroke({ day, from: cell, to: cell, open: !isOpen(week, day, cell * STEP) });
            }}
            onPointerMove={(event) => stroke && setStroke({ ...stroke, to: cellAt(event) })}
            onPointerUp={() => {
              if (stroke) onPaint(painted(week, stroke.day, pieceOf(stroke.from, stroke.to), stroke.open));
              setStroke(null);
            }}
            onPointerCancel={() => setStroke(null)}
          >
            {shown[day].map(({ from, to }) => (
              <i
                key={from}
                style={{ left: `${(from / MINUTES) * 100}%`, width: `${((to - from) / MINUTES) * 100}%` }}
              />
            ))}
          </div>
        </div>
      ))}
    </div>
  );
}

function pieceOf(from: number, to: number): { from: number; to: number } {
  return { from: Math.min(from, to) * STEP, to: (Math.max(from, to) + 1) * STEP };
}
