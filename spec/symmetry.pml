/* Nodes 0 and 1 are alike, and so are the tasks: of two states that differ by an
 * exchange, one is enough. A partial order is enough too: it only saves less. */
#ifdef PLAIN
inline normalise() { skip }   /* so that a counterexample keeps its names */
#else
int node_keys[2], task_keys[TASKS];   /* 0 between steps */
byte spare;

inline exchange(a, b) { spare = a; a = b; b = spare }

inline exchange_nodes() {
	exchange(lease[0], lease[1]); exchange(live[0], live[1]);
	exchange(up[0], up[1]); exchange(paused[0], paused[1]); exchange(net[0], net[1]); exchange(own[0], own[1]);
	exchange(start[0], start[1]); exchange(wanted[0], wanted[1]); exchange(patience[0], patience[1]);
	exchange(job[0], job[2]); exchange(job[1], job[3]); exchange(mine[0], mine[2]); exchange(mine[1], mine[3]);
	exchange(beat[0], beat[1]); exchange(beat_age[0], beat_age[1]);
	exchange(beat_renewed[0], beat_renewed[1]); exchange(beat_runs[0], beat_runs[1]);
	exchange(beat_tainted[0], beat_tainted[1]); exchange(watched[0], watched[1]);
	exchange(deviation[0], deviation[1]); exchange(seen[0], seen[1]); exchange(sweeping[0], sweeping[1]);
	holder[0] = (holder[0] < 2 -> 1 - holder[0] : holder[0]);
	holder[1] = (holder[1] < 2 -> 1 - holder[1] : holder[1])
}

inline exchange_tasks_of(m) {
	exchange(job[RUN(m, 0)], job[RUN(m, 1)]); exchange(mine[RUN(m, 0)], mine[RUN(m, 1)]);
	wanted[m] = (start[m] == IDLE -> 0 : 1 - wanted[m]);
	beat_runs[m] = (beat_runs[m] >> 1) + 2 * (beat_runs[m] & 1)
}

inline exchange_tasks() {
	exchange(holder[0], holder[1]); exchange(due[0], due[1]); exchange(foreign[0], foreign[1]);
	exchange_tasks_of(0); exchange_tasks_of(1); exchange_tasks_of(2)
}

#define WANTS(m, t) (start[m] != IDLE && wanted[m] == (t))

inline normalise() {
	node_keys[0] = up[0] + (paused[0] << 2) + (net[0] << 4) + (start[0] << 6) + (own[0] << 8) + (job[0] << 11) + (job[1] << 13) + (lease[0] << 15) + (watched[0] << 20);
	node_keys[1] = up[1] + (paused[1] << 2) + (net[1] << 4) + (start[1] << 6) + (own[1] << 8) + (job[2] << 11) + (job[3] << 13) + (lease[1] << 15) + (watched[1] << 20);
	if
	:: node_keys[0] < node_keys[1] -> exchange_nodes()
	:: else
	fi;
	task_keys[0] = holder[0] + (due[0] << 2) + (foreign[0] << 3) + (job[0] << 4) + (job[2] << 6) + (job[4] << 8) + (WANTS(0, 0) << 10) + (WANTS(1, 0) << 11) + (WANTS(2, 0) << 12);
	task_keys[1] = holder[1] + (due[1] << 2) + (foreign[1] << 3) + (job[1] << 4) + (job[3] << 6) + (job[5] << 8) + (WANTS(0, 1) << 10) + (WANTS(1, 1) << 11) + (WANTS(2, 1) << 12);
	if
	:: task_keys[0] < task_keys[1] -> exchange_tasks()
	:: else
	fi;
	node_keys[0] = 0; node_keys[1] = 0; task_keys[0] = 0; task_keys[1] = 0; spare = 0
}
#endif
