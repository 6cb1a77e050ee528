/* What the database does; each inline is one function of alembic/sql/. */

#ifdef NO_KEY_SHARE
#define LOCKED(n) 0
#else
#define LOCKED(n) (start[n] == CHECKED)   /* start_run() holds KEY SHARE on the node */
#endif
/* start_run() holds the task FOR UPDATE from its look to its commit. */
#define TASK_LOCKED(t) ((start[0] == CHECKED && wanted[0] == (t)) || (start[1] == CHECKED && wanted[1] == (t)) || (start[2] == CHECKED && wanted[2] == (t)))

/* The row of a running run gets another status; nobody holds that id any more. */
inline end_row(t) {
	mine[RUN(holder[t], t)] = 0;
	holder[t] = NOBODY;
	foreign[t] = 0
}

/* bury_nodes() */
inline bury(n) {
	printf("database: node %d is dead, its runs are lost\n", n);
	live[n] = 0; lease[n] = PASSED;
	if
	:: holder[0] == n -> end_row(0); due[0] = 1
	:: else
	fi;
	if
	:: holder[1] == n -> end_row(1); due[1] = 1
	:: else
	fi
}

/* heartbeat(): its update. */
#define RENEWABLE(n) (live[n] && lease[n] > EQUAL)
#define EXPIRED(n) (live[n] && lease[n] == PASSED)
#define ANY_EXPIRED (EXPIRED(0) || EXPIRED(1) || EXPIRED(2))

inline sweep_one(n) {
	if
	:: EXPIRED(n) && !LOCKED(n) ->   /* SKIP LOCKED */
		if
		:: SINCE_PROMOTION && (holder[0] == n || holder[1] == n) -> REACHED(SWEPT_AFTER_PROMOTION); PROMOTE(0)
		:: holder[0] == n || holder[1] == n -> REACHED(SWEPT_WITH_A_RUN)
		:: else -> REACHED(SWEPT_WITHOUT_A_RUN)
		fi;
		bury(n)
	:: EXPIRED(n) && LOCKED(n) -> REACHED(SWEEP_SKIPPED_A_LOCKED_NODE)
	:: else
	fi
}

/* sweep(): does nothing if its own clock is ahead of the caller's watch. */
inline sweep(by) {
	printf("node %d: sweep()\n", by);
	if
	:: STILL_MAY_SWEEP(by) ->
		sweep_one(0); sweep_one(1); sweep_one(2)
	:: else -> REACHED(SWEEP_REFUSED_BY_CLOCK)
	fi;
	if
	:: sweeping[by] == LATE_SWEEP -> forget_watch(by)
	:: else
	fi;
	sweeping[by] = NO_SWEEP
}

/* start_run(), first half: every rule is checked. */
#define STARTABLE(n, t) (live[n] && patience[n] != EARLIER && lease[n] > EQUAL && holder[t] == NOBODY && due[t])

/* start_run(), second half: the run is inserted and committed. */
inline commit_start(n) {
	printf("database: start_run() of node %d commits task %d\n", n, wanted[n]);
	index_violated = (holder[wanted[n]] != NOBODY);
	assert(!index_violated);
	holder[wanted[n]] = n;
	due[wanted[n]] = 0;
	foreign[wanted[n]] = (patience[n] == EARLIER);
	mine[RUN(n, wanted[n])] = (patience[n] != EARLIER);
	if
	:: patience[n] == WAITED -> start[n] = ANSWERED
	:: else -> start[n] = IDLE; wanted[n] = 0; patience[n] = WAITED
	fi
}

/* finish_run(); again: whether the task is due at once, as after an interruption. */
inline finish(n, t, again) {
	if
#ifdef NO_TOKEN
	:: holder[t] != NOBODY ->
#else
	:: mine[RUN(n, t)] ->
#endif
		S5_result_of_another = !mine[RUN(n, t)];
		assert(!S5_result_of_another);
		end_row(t);
		due[t] = again
	:: else -> REACHED(FINISH_REFUSED)   /* lost, or already */
	fi
}

/* register_node() */
inline register(n) {
	printf("node %d: registers\n", n);
	live[n] = 1; lease[n] = FRESH;
	up[n] = MEMBER; own[n] = HELD;
	watched[n] = UNSEEN; deviation[n] = STEADY; seen[n] = 0; sweeping[n] = NO_SWEEP;
	if
	:: start[n] != IDLE -> patience[n] = EARLIER
	:: else
	fi;
	if
	:: holder[0] == n -> foreign[0] = 1; mine[RUN(n, 0)] = 0
	:: else
	fi;
	if
	:: holder[1] == n -> foreign[1] = 1; mine[RUN(n, 1)] = 0
	:: else
	fi;
	REACHED(REGISTERED_AGAIN)
}
