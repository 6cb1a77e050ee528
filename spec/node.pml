/* A node, its guardian, and its requests on their way. */

#define EXECUTES(n) (up[n] != DOWN && (paused[n] == NOTHING || paused[n] == GUARDIAN))
#define GUARDED(n) (paused[n] == NOTHING || paused[n] == PROCESS)
#define HOLDS_JOBS(n) (job[RUN(n, 0)] == ALIVE || job[RUN(n, 1)] == ALIVE)
#define REACHES(n) (!down && (net[n] == FINE || net[n] == SLOW))
#define MAY_STOP_SOFTLY(n) (up[n] == MEMBER && paused[n] == NOTHING && own[n] <= SOFT && HOLDS_JOBS(n))
#define BEATS(n) (up[n] == MEMBER && EXECUTES(n) && REACHES(n) && beat[n] == IDLE && sweeping[n] == NO_SWEEP)
#define UNHEARD(n) (up[n] == MEMBER && EXECUTES(n) && !down && net[n] == DEAF && RENEWABLE(n))
#define HEALTHY(n) (up[n] == MEMBER && EXECUTES(n) && !down && net[n] == FINE)
/* The guardian is armed whenever a run is held, with the newest lease: nothing to
 * remember. Without that rule it is armed by the next renewal. */
#ifdef NO_ARM
bit armed[NODES];
#define ARM(n, whether) armed[n] = (whether)
#define ENFORCED(n) (own[n] == 0 && armed[n])
#else
#define ARM(n, whether) skip
#define ENFORCED(n) (own[n] == 0)
#endif

inline end_ghost(n, t) {
	job[RUN(n, t)] = GONE;
	REACHED(GHOST_ENDED)
}

/* Heartbeat._beat() and Runner.beaten(): what an answer changes. */
inline hear_beat(n, age, recorded, tainted) {
#ifdef NO_SENT
	own[n] = HELD;
#else
	own[n] = (age < HELD -> HELD - age : 0);
#endif
	ARM(n, HOLDS_JOBS(n));
#ifndef NO_GHOST
	if
	:: (recorded & 1) && !tainted && job[RUN(n, 0)] == NONE -> end_ghost(n, 0)
	:: else
	fi;
	if
	:: (recorded & 2) && !tainted && job[RUN(n, 1)] == NONE -> end_ghost(n, 1)
	:: else
	fi
#endif
}

#ifdef NO_GHOST_GUARD
#define STARTING(n) 0
#else
#define STARTING(n) (start[n] != IDLE && patience[n] == WAITED)
#endif
#define RECORDED(n) ((holder[0] == n && !foreign[0]) + 2 * (holder[1] == n && !foreign[1]))

inline beat_at_once(n) {
	if
	:: RENEWABLE(n) ->
		lease[n] = FRESH;
		hear_beat(n, 0, RECORDED(n), STARTING(n));
		observe(n);
		sweeping[n] = (ANY_EXPIRED && MAY_SWEEP(n))
	:: else -> printf("node %d: its heartbeat is refused\n", n); up[n] = OVER; REACHED(RENEWAL_REFUSED)
	fi
}

/* Executed at once, but the answer takes long. */
inline beat_slowly(n) {
	beat[n] = ANSWERED; beat_tainted[n] = STARTING(n);
	beat_renewed[n] = RENEWABLE(n); beat_runs[n] = RECORDED(n);
	lease[n] = (RENEWABLE(n) -> FRESH : lease[n])
}

inline hear_slow_beat(n) {
	beat[n] = IDLE;
	if
	:: beat_renewed[n] -> hear_beat(n, beat_age[n], beat_runs[n], beat_tainted[n])
	:: else -> up[n] = OVER
	fi;
	beat_age[n] = 0; beat_runs[n] = 0; beat_renewed[n] = 0; beat_tainted[n] = 0;
	forget_watch(n)   /* an answer that took long says nothing about the clock */
}

inline drop_beat(n) {
	beat[n] = IDLE; beat_age[n] = 0; beat_runs[n] = 0; beat_renewed[n] = 0; beat_tainted[n] = 0
}

inline taint_beat(n) {
#ifndef NO_GHOST_GUARD
	beat_tainted[n] = (beat[n] != IDLE)
#else
	skip
#endif
}

/* The node stops waiting for the answer to a start. */
inline give_up_start(n) {
	if
	:: start[n] == ANSWERED -> start[n] = IDLE; wanted[n] = 0; REACHED(ANSWER_TO_START_LOST)
	:: (start[n] == SENT || start[n] == CHECKED) && patience[n] == WAITED -> patience[n] = GIVEN_UP
	:: else
	fi
}

/* What goes with the node's process; its guardian and its jobs are not touched. */
inline end_process(n) {
	up[n] = DOWN;
	if
	:: paused[n] == PROCESS -> paused[n] = NOTHING
	:: else
	fi;
	give_up_start(n);
	drop_beat(n);
	if
	:: job[RUN(n, 0)] == GONE -> job[RUN(n, 0)] = NONE
	:: else
	fi;
	if
	:: job[RUN(n, 1)] == GONE -> job[RUN(n, 1)] = NONE
	:: else
	fi;
	forget_watch(n);
	sweeping[n] = NO_SWEEP;
	own[n] = (HOLDS_JOBS(n) -> own[n] : 0)
}

inline end_jobs(n, into) {
	if
	:: job[RUN(n, 0)] == ALIVE -> job[RUN(n, 0)] = into
	:: else
	fi;
	if
	:: job[RUN(n, 1)] == ALIVE -> job[RUN(n, 1)] = into
	:: else
	fi;
	ARM(n, 0)
}

/* Guardian.enforce_deadline() */
inline hard_stop(n) {
	if
	:: paused[n] == PROCESS -> REACHED(HARD_STOP_OF_FROZEN)
	:: else
	fi;
	end_jobs(n, NONE);
	end_process(n)
}

#define EXECUTED_ELSEWHERE(n, t) ((n != 0 && job[RUN(0, t)] == ALIVE && paused[0] != HOST) || (n != 1 && job[RUN(1, t)] == ALIVE && paused[1] != HOST) || (n != 2 && job[RUN(2, t)] == ALIVE && paused[2] != HOST))

/* The answer arrives; the guardian is asked for the job (Guardian.start()). */
inline launch(n) {
	start[n] = IDLE;
	taint_beat(n);
	if
#ifndef NO_ARM
	:: own[n] == 0 -> printf("node %d: its guardian refuses task %d, too late\n", n, wanted[n]);
		job[RUN(n, wanted[n])] = GONE; REACHED(LATE_START_REFUSED)
#endif
	:: else ->
		printf("node %d: its job of task %d begins\n", n, wanted[n]);
		S1_two_runs_overlap = EXECUTED_ELSEWHERE(n, wanted[n]);
		assert(!S1_two_runs_overlap);
		job[RUN(n, wanted[n])] = ALIVE
	fi;
	wanted[n] = 0
}

/* Tenure.end(), after all runs are stopped: by the guardian at once, if it isn't frozen. */
#define MAY_END_TENURE(n) (up[n] == OVER && (paused[n] == NOTHING || (paused[n] == GUARDIAN && !HOLDS_JOBS(n))))
inline end_tenure(n) {
	end_jobs(n, NONE);
	end_process(n);
	up[n] = JOINING
}

/* is_proven_dead(): every process of the incarnation that the row names is gone.
 * Node 2 is alone on its host and publishes no lock: there only time decides. */
#define PROVABLE(n) ((n) != 2 && live[n] && up[n] <= JOINING && !HOLDS_JOBS(n) && !LOCKED(n))
#define NEIGHBOUR(n) (1 - (n))

#define JOINS(n) (up[n] == JOINING && paused[n] == NOTHING && REACHES(n))
#define MAY_REGISTER(n) (JOINS(n) && (!live[n] || PROVABLE(n)))

/* Membership._register_over(), one round. */
inline join(n) {
	if
	:: !live[n] -> register(n)
	:: PROVABLE(n) -> bury(n); register(n)
	:: else ->
		observe(n);
		sweeping[n] = (EXPIRED(n) && MAY_SWEEP(n))
	fi
}

inline send_start(n, t) {
	wanted[n] = t; patience[n] = WAITED; taint_beat(n);
	start[n] = SENT
}

inline check_start(n) {
	if
	:: STARTABLE(n, wanted[n]) -> start[n] = CHECKED
	:: else -> start[n] = IDLE; wanted[n] = 0; patience[n] = WAITED; REACHED(START_REFUSED)
	fi
}

/* The hash is a hint (claims.py): whoever lives may start what is due. */
#ifdef NO_OTHERS
#define MAY_OWN(n, t) ((n) == (t))
#else
#define MAY_OWN(n, t) 1
#endif
#define MAY_START(n, t) (MAY_OWN(n, t) && up[n] == MEMBER && paused[n] == NOTHING && own[n] > SOFT && start[n] == IDLE && due[t] && holder[t] == NOBODY && job[RUN(n, t)] == NONE)

/* Heartbeat._declare_dead(), for the neighbour on the same host. */
inline prove(n) {
	printf("node %d: proves that node %d is dead\n", n, NEIGHBOUR(n));
	if
	:: holder[0] == NEIGHBOUR(n) || holder[1] == NEIGHBOUR(n) -> REACHED(PROVEN_WITH_A_RUN)
	:: else
	fi;
	bury(NEIGHBOUR(n))
}
