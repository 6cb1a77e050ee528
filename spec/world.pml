/* Time, and what goes wrong. */

/* What a healthy node does at once, it has done before time goes on; and a hard
 * stop comes before the next tick. */
#define SETTLED(n) (\
	!(sweeping[n] != NO_SWEEP && REACHES(n) && EXECUTES(n)) && \
	!MAY_END_TENURE(n) && \
	!MAY_STOP_SOFTLY(n) && \
	!MAY_REGISTER(n) && \
	!(HEALTHY(n) && (job[RUN(n, 0)] == GONE || job[RUN(n, 1)] == GONE)) && \
	(down || net[n] != FINE || ( \
		(start[n] == IDLE || (start[n] == ANSWERED && (paused[n] != NOTHING || up[n] != MEMBER))) && \
		job[RUN(n, 0)] != TOLD && job[RUN(n, 1)] != TOLD)) && \
	!(HOLDS_JOBS(n) && ENFORCED(n) && STOPPABLE(n)))
#ifdef NO_COUNTER_STOP
#define STOPPABLE(n) (paused[n] != HOST && paused[n] != GUARDIAN)
#else
#define STOPPABLE(n) (paused[n] != HOST)
#endif
#define MAY_TICK (!done && SETTLED(0) && SETTLED(1) && SETTLED(2))
#define MAY_FAIL(kind) (!done && faults < FAULTS_MAX && ((FAULTS) & (kind)))

inline tick_clocks(n, by) {
	own[n] = (own[n] > by -> own[n] - by : 0);
	watched[n] = (watched[n] == UNSEEN -> UNSEEN : (watched[n] + by > TTL -> TTL : watched[n] + by));
	deviation[n] = (watched[n] == UNSEEN -> STEADY : deviation[n] + 1 - by);
	beat_age[n] = (beat[n] == IDLE -> 0 : (beat_age[n] + by > TTL -> TTL : beat_age[n] + by))
}

inline tick_node(m, late, early) {
	lease[m] = (lease[m] > PASSED -> lease[m] - 1 : PASSED);
	if
	:: late == m -> tick_clocks(m, 0)
	:: early == m -> tick_clocks(m, 2)
	:: else -> tick_clocks(m, 1)
	fi
}

inline beat_if_healthy(m) {
	if
	:: BEATS(m) -> beat_at_once(m)
	:: UNHEARD(m) -> lease[m] = FRESH; forget_watch(m)
	:: JOINS(m) && sweeping[m] == NO_SWEEP -> join(m)
	:: else -> miss_reading(m)
	fi
}

/* late, early: the node whose clock (or whose guardian) lags by a tick, or runs ahead. */
inline tick(late, early) {
	printf("tick: leases have %d %d %d, hard stops are in %d %d %d\n", lease[0] - 1, lease[1] - 1, lease[2] - 1, own[0], own[1], own[2]);
	tick_node(0, late, early); tick_node(1, late, early); tick_node(2, late, early);
	stepped = 0;
	beat_if_healthy(0); beat_if_healthy(1); beat_if_healthy(2)
}

inline step_forward(n, ticks) {
	lease[n] = (lease[n] > ticks -> lease[n] - ticks : PASSED);
	deviation[n] = (watched[n] == UNSEEN -> STEADY : deviation[n] + ticks)
}

inline step_back(n, ticks) {
	lease[n] = (!live[n] -> lease[n] : (lease[n] + ticks > LEASE_MAX -> LEASE_MAX : lease[n] + ticks));
	deviation[n] = (watched[n] == UNSEEN -> STEADY : deviation[n] - ticks)
}

inline step_all_forward(ticks) { step_forward(0, ticks); step_forward(1, ticks); step_forward(2, ticks) }
inline step_all_back(ticks) { step_back(0, ticks); step_back(1, ticks); step_back(2, ticks) }

inline step_clock() {
	stepped = 1;
	if
	:: printf("FAULT: the clock steps back by 1\n"); step_all_back(1)
	:: printf("FAULT: the clock steps forward by 2\n"); step_all_forward(2)
#ifndef SMALL_STEPS
	:: printf("FAULT: the clock steps forward by 1\n"); step_all_forward(1)
	:: printf("FAULT: the clock steps forward by %d\n", STEP_LARGE); step_all_forward(STEP_LARGE)
	:: printf("FAULT: the clock steps back by 2\n"); step_all_back(2)
	:: printf("FAULT: the clock steps back by %d\n", STEP_LARGE); step_all_back(STEP_LARGE)
#endif
	fi
}

/* The server ends: what was not committed is gone, and so are answers on their way. */
inline disconnect(n) {
	forget_watch(n); drop_beat(n);
	sweeping[n] = NO_SWEEP; start[n] = IDLE; wanted[n] = 0; patience[n] = WAITED;
	if
	:: job[RUN(n, 0)] == TOLD -> job[RUN(n, 0)] = (up[n] == MEMBER -> GONE : NONE)
	:: else
	fi;
	if
	:: job[RUN(n, 1)] == TOLD -> job[RUN(n, 1)] = (up[n] == MEMBER -> GONE : NONE)
	:: else
	fi
}

/* Heartbeats are not waited for (synchronous_commit = off): the last may be missing. */
inline lose_beats(n) { lease[n] = (lease[n] > 3 -> lease[n] - 3 : PASSED) }

inline lose_some_beats() {
	if
	:: true
	:: lose_beats(0); lose_beats(1); lose_beats(2)
	:: lose_beats(0)
	:: lose_beats(2)
	fi
}

/* What a promoted replica's clock may show; a small difference makes no difference. */
inline another_clock() {
	if
	:: true
	:: step_all_forward(2)
	:: step_all_forward(STEP_LARGE)
	:: step_all_back(STEP_LARGE)
	fi
}

inline restart() {
	disconnect(0); disconnect(1); disconnect(2);
	down = 1
}

inline wake(n) {
	if
	:: paused[n] == HOST ->
		paused[n] = NOTHING;
		if
		:: ENFORCED(n) && HOLDS_JOBS(n) -> hard_stop(n); REACHED(HOST_WOKE_TOO_LATE)
		:: else ->
			S1_two_runs_overlap = ((job[RUN(n, 0)] == ALIVE && EXECUTED_ELSEWHERE(n, 0)) || (job[RUN(n, 1)] == ALIVE && EXECUTED_ELSEWHERE(n, 1)));
			assert(!S1_two_runs_overlap)
		fi
	:: else -> paused[n] = NOTHING
	fi
}

