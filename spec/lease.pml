/* The lease protocol, as server/cluster/, server/cron/runner.py and alembic/sql/
 * have it. README.md says what each part stands for, what is left out, and how a
 * counterexample is read. Each -DNO_... takes one rule out.
 *
 * Time is counted in ticks. Every moment is kept as what is left until it, so
 * that no number grows for ever: a tick takes one off each, a step of the
 * database's clock takes off the leases alone.
 */
#define NODES 3
#define TASKS 2
#define NOBODY NODES

#ifndef TTL
#define TTL 5              /* ticks that a heartbeat grants */
#endif
#ifndef FAULTS_MAX
#define FAULTS_MAX 2       /* how often something goes wrong before all is well */
#endif

/* What goes wrong, one bit a kind; -DFAULTS=... leaves some out. */
#define KILLED 1
#define GUARDIAN_KILLED 2
#define FROZEN 4
#define GUARDIAN_FROZEN 8
#define HOST_FROZEN 16
#define CUT_OFF 32
#define UNANSWERED 64
#define SLOWED 128
#define SLOW_BEAT 256
#define CLOCK_LAGS 512
#define CLOCK_RUNS_AHEAD 1024
#define CLOCK_STEPS 2048
#define RESTARTS 4096
#define PROMOTION 8192
#ifndef FAULTS
#define FAULTS 16383
#endif

#ifdef NO_MARGIN
#define MARGIN 0
#else
#define MARGIN 2           /* between the hard stop and the end on the database's clock */
#endif
#define TOLERANCE 1        /* margin / 2: what the watch forgives */
#define HELD (TTL - MARGIN)
#define SOFT 1             /* a start needs more than this until the hard stop */

/* A lease on the database's clock: what is left of it, plus one. */
#define PASSED 0           /* lease_expires_at < clock: may be swept */
#define EQUAL 1            /* neither valid nor to be swept */
#define FRESH (TTL + 1)
#define LEASE_MAX (2 * TTL + 3)
#define STEP_LARGE (TTL + 1)

/* A node's process. */
#define DOWN 0
#define JOINING 1
#define MEMBER 2           /* in a tenure */
#define OVER 3             /* the heartbeat was refused; the tenure is being ended */

/* What stands still. */
#define NOTHING 0
#define PROCESS 1          /* SIGSTOP, or the GIL held in C */
#define GUARDIAN 2
#define HOST 3

/* The network of one node. */
#define FINE 0
#define CUT 1              /* nothing arrives */
#define DEAF 2             /* requests arrive, answers don't */
#define SLOW 3             /* starts and endings may take any time, and be given up */

/* A start: from hold() to the launch. */
#define IDLE 0
#define SENT 1             /* on its way to the database */
#define CHECKED 2          /* start_run() between its look at the node and its commit */
#define ANSWERED 3         /* committed; the answer is on its way */

/* Who waits for the answer to a start. */
#define WAITED 0
#define GIVEN_UP 1
#define EARLIER 2          /* nobody, and the node has another incarnation by now */

/* A run on its node. */
#define NONE 0
#define ALIVE 1            /* processes execute */
#define GONE 2             /* all processes gone, the ending is to be told */
#define TOLD 3             /* finish_run() is on its way */

/* A sweep() that was decided on and not executed yet. */
#define NO_SWEEP 0
#define SWEEP 1
#define LATE_SWEEP 2       /* a tick has passed since */

#define UNSEEN 255         /* a watch that has not begun */
#define STEADY 32          /* no deviation of the two clocks since the watch began */
#define RUN(n, t) ((n) * TASKS + (t))

/* The database. */
bit down;
byte lease[NODES];
bit live[NODES];           /* state is not dead */
byte holder[TASKS];        /* the node of the running run, or NOBODY */
bit foreign[TASKS];        /* it belongs to an earlier incarnation of that node */
bit due[TASKS];

/* The nodes. */
byte up[NODES];
byte paused[NODES];
byte net[NODES];
byte own[NODES];           /* until the hard stop, on the node's clock */
byte start[NODES];
byte wanted[NODES];        /* the task of the start */
byte patience[NODES];      /* who waits for its answer */
byte job[NODES * TASKS];
bit mine[NODES * TASKS];   /* the run's id is that of the row which is running now */

/* A heartbeat that takes long. */
byte beat[NODES];          /* IDLE, SENT or ANSWERED */
byte beat_age[NODES];
bit beat_renewed[NODES];
byte beat_runs[NODES];     /* one bit a task: recorded as this incarnation's */
bit beat_tainted[NODES];   /* a start was under way since it was sent */

/* The watch of the database's clock. */
byte watched[NODES];       /* ticks since its first reading, TTL: complete */
byte deviation[NODES];     /* of the two clocks since then, around STEADY */
byte seen[NODES];          /* the deviation that was seen, 0: none, 1: ahead, 2: behind */
byte sweeping[NODES];      /* sweep() is on its way */

/* The world. */
byte faults;
bit stepped;              /* the clock stepped in this tick: steps are a tick apart at least */
bit drifted;              /* one clock, once, was a tick late or early: the margin allows that much */
bit done;                  /* the calm that ends a behaviour has been judged */

bit S1_two_runs_overlap, S2_due_task_not_started, S3_start_without_ending, S5_result_of_another;
bit index_violated;

#include "reached.pml"
#include "watch.pml"
#include "database.pml"
#include "node.pml"
#include "symmetry.pml"
#include "world.pml"
#include "calm.pml"
#include "steps.pml"

init {
	byte i = 0;
	d_step {
		TELL_AT_THE_END;
		do
		:: i < NODES ->
			live[i] = 1; lease[i] = FRESH; up[i] = MEMBER; own[i] = HELD;
			watched[i] = TTL; deviation[i] = STEADY; i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < TASKS -> holder[i] = NOBODY; due[i] = 1; i++
		:: else -> break
		od;
		i = 0
	};
	atomic { run node(0); run node(1); run node(2); run world() }
}
