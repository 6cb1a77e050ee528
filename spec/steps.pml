/* What may happen next. Each step says in a replay what it is. */

#define ALONE(n) (up[n] == MEMBER && GUARDED(n))   /* the job ends by itself */
#define TELLABLE(n, t) (job[RUN(n, t)] == GONE && up[n] == MEMBER && EXECUTES(n) && !down)

/* A start is looked at and committed in two steps, since others come between. */
#define START_STEPS(t) \
	:: d_step { MAY_START(n, t) && !down && net[n] != CUT && !TASK_LOCKED(t) -> \
		printf("node %d: arms its guardian, start_run() looks at task %d\n", n, t); \
		send_start(n, t); check_start(n); normalise() } \
	:: d_step { MAY_START(n, t) && net[n] == SLOW -> \
		printf("node %d: arms its guardian, sends a start of task %d\n", n, t); \
		send_start(n, t); normalise() }

#define ENDING_STEPS(t) \
	:: d_step { job[RUN(n, t)] == ALIVE && ALONE(n) && HEALTHY(n) -> \
		printf("node %d: its job of task %d ends and is recorded\n", n, t); \
		finish(n, t, 0); job[RUN(n, t)] = NONE; normalise() } \
	:: d_step { job[RUN(n, t)] == ALIVE && ALONE(n) && !HEALTHY(n) -> \
		printf("node %d: its job of task %d ends\n", n, t); \
		job[RUN(n, t)] = GONE; normalise() } \
	:: d_step { TELLABLE(n, t) && REACHES(n) -> \
		printf("node %d: tells the ending of task %d\n", n, t); \
		finish(n, t, 0); job[RUN(n, t)] = NONE; normalise() } \
	:: d_step { TELLABLE(n, t) && REACHES(n) -> \
		printf("node %d: tells that task %d was interrupted\n", n, t); \
		finish(n, t, 1); job[RUN(n, t)] = NONE; normalise() } \
	:: d_step { TELLABLE(n, t) && net[n] == DEAF && mine[RUN(n, t)] -> \
		printf("node %d: tells the ending of task %d, the answer is lost\n", n, t); \
		finish(n, t, 0); normalise() } \
	:: d_step { TELLABLE(n, t) && net[n] == SLOW -> \
		printf("node %d: sends the ending of task %d\n", n, t); \
		job[RUN(n, t)] = TOLD; normalise() } \
	:: d_step { job[RUN(n, t)] == TOLD && !down -> \
		printf("database: finish_run() of node %d for task %d\n", n, t); \
		finish(n, t, 0); job[RUN(n, t)] = NONE; normalise() }

#define FAIL(kind, condition, what, effect) \
	:: d_step { MAY_FAIL(kind) && (condition) -> printf(what, n); faults++; effect; normalise() }

proctype node(byte n) {
end:	do
	/* The heartbeat: sent at each tick by who can (see tick()), and at any time. */
	:: d_step { BEATS(n) -> printf("node %d: heartbeat\n", n); beat_at_once(n); normalise() }
	:: d_step { beat[n] == ANSWERED && EXECUTES(n) && up[n] == MEMBER ->
		printf("node %d: hears the slow answer to its heartbeat\n", n);
		hear_slow_beat(n); normalise() }
	:: d_step { beat[n] != IDLE && EXECUTES(n) ->
		printf("node %d: gives up its heartbeat\n", n);
		drop_beat(n); forget_watch(n); normalise() }
	:: d_step { sweeping[n] != NO_SWEEP && REACHES(n) && EXECUTES(n) ->
		sweep(n); normalise() }
	:: d_step { n != 2 && BEATS(n) && PROVABLE(NEIGHBOUR(n)) ->
		prove(n); normalise() }

	START_STEPS(0)
	START_STEPS(1)
	:: d_step { start[n] == SENT && !down && !TASK_LOCKED(wanted[n]) ->
		printf("database: start_run() of node %d looks at task %d\n", n, wanted[n]);
		check_start(n); normalise() }
	:: d_step { start[n] == CHECKED && !down ->
		commit_start(n);
		if
		:: start[n] == ANSWERED && HEALTHY(n) && paused[n] == NOTHING -> launch(n)
		:: else
		fi;
		normalise() }
	:: d_step { start[n] == ANSWERED && up[n] == MEMBER && paused[n] == NOTHING && REACHES(n) ->
		launch(n); normalise() }
	:: d_step { start[n] != IDLE && patience[n] == WAITED && EXECUTES(n) && net[n] != FINE ->
		printf("node %d: gives up waiting for the answer to its start\n", n);
		give_up_start(n); taint_beat(n); normalise() }

	ENDING_STEPS(0)
	ENDING_STEPS(1)

	/* Stops */
	:: d_step { MAY_STOP_SOFTLY(n) ->
		printf("node %d: soft stop\n", n); REACHED(SOFT_STOP); end_jobs(n, GONE); normalise() }
	:: d_step { ENFORCED(n) && HOLDS_JOBS(n) && GUARDED(n) ->
		printf("node %d: hard stop by its guardian\n", n); hard_stop(n); normalise() }
	:: d_step { up[n] == DOWN && HOLDS_JOBS(n) && GUARDED(n) ->
		printf("node %d: its guardian ends all jobs\n", n);
		end_jobs(n, NONE); own[n] = 0; normalise() }
	/* A frozen guardian is killed, and with it its jobs: the node sees it at its
	 * heartbeats, and ends it at its own hard stop. */
	:: d_step { BEATS(n) && paused[n] == GUARDIAN ->
		printf("node %d: replaces its frozen guardian\n", n);
		end_jobs(n, GONE); paused[n] = NOTHING; normalise() }
#ifndef NO_COUNTER_STOP
	:: d_step { up[n] >= MEMBER && paused[n] == GUARDIAN && own[n] == 0 && HOLDS_JOBS(n) ->
		printf("node %d: hard stop, kills its frozen guardian\n", n); REACHED(COUNTER_STOP);
		end_jobs(n, (up[n] == MEMBER -> GONE : NONE)); paused[n] = NOTHING; normalise() }
#endif
	:: d_step { MAY_END_TENURE(n) ->
		printf("node %d: ends its tenure\n", n); paused[n] = NOTHING; end_tenure(n); normalise() }

	/* Beginnings */
	:: d_step { up[n] == DOWN && paused[n] == NOTHING && !HOLDS_JOBS(n) ->
		printf("node %d: is started again\n", n); up[n] = JOINING; normalise() }
	:: d_step { MAY_REGISTER(n) -> join(n); normalise() }

	/* What goes wrong. No node is killed while its guardian is frozen: one of the
	 * two gets to execute. */
	FAIL(KILLED, up[n] >= MEMBER && (paused[n] == NOTHING || paused[n] == PROCESS), "FAULT: node %d: is killed\n", end_process(n))
	FAIL(GUARDIAN_KILLED, up[n] == MEMBER && paused[n] == NOTHING && HOLDS_JOBS(n), "FAULT: node %d: its guardian is killed, with all jobs\n", end_jobs(n, GONE))
	FAIL(FROZEN, up[n] >= MEMBER && paused[n] == NOTHING, "FAULT: node %d: freezes\n", paused[n] = PROCESS)
	FAIL(GUARDIAN_FROZEN, up[n] == MEMBER && paused[n] == NOTHING, "FAULT: node %d: its guardian freezes\n", paused[n] = GUARDIAN)
	FAIL(HOST_FROZEN, n == 2 && up[n] == MEMBER && paused[n] == NOTHING, "FAULT: node %d: its host freezes\n", paused[n] = HOST)
	FAIL(CUT_OFF, up[n] == MEMBER && net[n] == FINE && beat[n] == IDLE, "FAULT: node %d: is cut off\n", net[n] = CUT; forget_watch(n))
	FAIL(UNANSWERED, up[n] == MEMBER && net[n] == FINE && beat[n] == IDLE, "FAULT: node %d: hears no answers\n", net[n] = DEAF; forget_watch(n))
	FAIL(SLOWED, up[n] == MEMBER && net[n] == FINE, "FAULT: node %d: its starts and endings become slow\n", net[n] = SLOW)
	FAIL(SLOW_BEAT, BEATS(n), "FAULT: node %d: one heartbeat becomes slow\n", beat_slowly(n))
	FAIL(CLOCK_LAGS, MAY_TICK && !drifted && up[n] >= MEMBER, "FAULT: node %d: its clock loses a tick\n", drifted = 1; tick(n, NOBODY))
	FAIL(CLOCK_RUNS_AHEAD, MAY_TICK && !drifted && up[n] >= MEMBER, "FAULT: node %d: its clock gains a tick\n", drifted = 1; tick(NOBODY, n))
	:: d_step { !done && paused[n] != NOTHING -> printf("node %d: what was frozen wakes\n", n); wake(n); normalise() }
	:: d_step { MAY_TICK -> printf("CALM: only node %d lives\n", n); calm((1 << n)) }
	:: d_step { net[n] != FINE -> printf("node %d: its network is well again\n", n); net[n] = FINE; normalise() }
	od
}

proctype world() {
	do
	:: d_step { MAY_TICK -> tick(NOBODY, NOBODY); normalise() }
	:: d_step { MAY_TICK -> printf("CALM: all nodes live\n"); calm(7) }
	:: d_step { !done && holder[0] == NOBODY && !due[0] -> printf("task 0 is due\n"); due[0] = 1; normalise() }
	:: d_step { !done && holder[1] == NOBODY && !due[1] -> printf("task 1 is due\n"); due[1] = 1; normalise() }
	:: d_step { down && !done -> printf("database: is back\n"); down = 0; normalise() }
	:: atomic { MAY_FAIL(CLOCK_STEPS) && !down && !stepped ->
		faults++; step_clock(); normalise() }
	:: atomic { MAY_FAIL(RESTARTS) && !down ->
		printf("FAULT: the database restarts\n"); REACHED(RESTARTED);
		faults++; restart(); lose_some_beats(); normalise() }
	:: atomic { MAY_FAIL(PROMOTION) && !down ->
		printf("FAULT: a replica is promoted\n"); REACHED(PROMOTED); PROMOTE(1);
		faults++; restart(); lose_some_beats(); another_clock(); normalise() }
	:: done -> break
	od
}
