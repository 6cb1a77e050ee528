/* After the last fault all goes well: the nodes that are left do their work, one
 * after the other, tick by tick. Then every due task must have been started, and
 * every start must have an ending. Judged in one step, so that it costs no states. */
#define CALM_TICKS (5 * TTL)
#define ALL_DONE (holder[0] == NOBODY && holder[1] == NOBODY && !due[0] && !due[1])

byte who, rounds;   /* 0 outside of calm() */

inline start_now(n, t) {
	if
	:: MAY_START(n, t) ->
		send_start(n, t); check_start(n);
		if
		:: start[n] == CHECKED -> commit_start(n); launch(n)
		:: else
		fi
	:: else
	fi
}

inline end_now(n, t) {
	if
	:: job[RUN(n, t)] == ALIVE && up[n] == MEMBER -> job[RUN(n, t)] = GONE
	:: else
	fi;
	if
	:: job[RUN(n, t)] == TOLD || (job[RUN(n, t)] == GONE && up[n] == MEMBER) -> finish(n, t, 0); job[RUN(n, t)] = NONE
	:: else
	fi
}

/* Everything that this node can do at this moment. */
inline serve(n, survives) {
	if
	:: HOLDS_JOBS(n) && (up[n] == DOWN || ENFORCED(n)) -> hard_stop(n)
	:: else
	fi;
	if
	:: start[n] == SENT -> check_start(n)
	:: else
	fi;
	if
	:: start[n] == CHECKED -> commit_start(n)
	:: else
	fi;
	if
	:: start[n] == ANSWERED && up[n] == MEMBER -> launch(n)
	:: else
	fi;
	if
	:: beat[n] != IDLE -> drop_beat(n); forget_watch(n)
	:: else
	fi;
	if
	:: up[n] == OVER -> end_tenure(n)
	:: up[n] == DOWN && survives -> up[n] = JOINING
	:: else
	fi;
	if
	:: up[n] == JOINING -> join(n)
	:: up[n] == MEMBER -> beat_at_once(n)
	:: else
	fi;
	if
	:: sweeping[n] != NO_SWEEP -> sweep(n)
	:: else
	fi;
	if
	:: n != 2 && up[n] == MEMBER && PROVABLE(NEIGHBOUR(n)) -> bury(NEIGHBOUR(n))
	:: else
	fi;
	end_now(n, 0); end_now(n, 1);
	start_now(n, 0); start_now(n, 1)
}

/* Those who don't survive are gone for good, with all their processes. */
inline settle(n, survives) {
	net[n] = FINE;
	if
	:: survives -> wake(n)
	:: else -> end_jobs(n, NONE); end_process(n); paused[n] = NOTHING
	fi;
	if
	:: start[n] == CHECKED -> commit_start(n)
	:: else
	fi
}

/* One state for all behaviours that ended well. */
inline forget(n) {
	lease[n] = 0; live[n] = 0; up[n] = DOWN; paused[n] = HOST; own[n] = 0; net[n] = FINE;
	start[n] = IDLE; wanted[n] = 0; patience[n] = WAITED; ARM(n, 0);
	job[RUN(n, 0)] = NONE; job[RUN(n, 1)] = NONE; mine[RUN(n, 0)] = 0; mine[RUN(n, 1)] = 0;
	drop_beat(n); forget_watch(n); sweeping[n] = NO_SWEEP
}

inline calm(survivors) {
	down = 0;
	who = 0;
	do
	:: who < NODES -> settle(who, ((survivors) & (1 << who))); who++
	:: else -> break
	od;
	rounds = CALM_TICKS;
	do
	:: rounds == 0 || ALL_DONE -> break
	:: else ->
		who = 0;
		do
		:: who < NODES -> serve(who, ((survivors) & (1 << who))); who++
		:: else -> break
		od;
		tick(NOBODY, NOBODY);
		rounds--
	od;
	S2_due_task_not_started = (due[0] || due[1]);
	S3_start_without_ending = (holder[0] != NOBODY || holder[1] != NOBODY);
	assert(!S3_start_without_ending);
	assert(!S2_due_task_not_started);
	who = 0;
	do
	:: who < NODES -> forget(who); who++
	:: else -> break
	od;
	down = 1; faults = 0; drifted = 0; stepped = 0; PROMOTE(0); done = 1;
	who = 0; rounds = 0; foreign[0] = 0; foreign[1] = 0; due[0] = 0; due[1] = 0
}
