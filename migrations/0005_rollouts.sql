CREATE TABLE `channels` (
	`id` text PRIMARY KEY NOT NULL,
	`environment` text NOT NULL,
	`kind` text NOT NULL,
	`name` text NOT NULL,
	`target` text NOT NULL,
	`secret` text NOT NULL,
	`events` text NOT NULL,
	`enabled` integer NOT NULL,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `channels_by_environment` ON `channels` (`environment`);--> statement-breakpoint
CREATE TABLE `deliveries` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`channel` text NOT NULL,
	`environment` text NOT NULL,
	`notice` text NOT NULL,
	`body` text NOT NULL,
	`state` text NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`next_at` integer NOT NULL,
	`last_error` text DEFAULT '' NOT NULL,
	`created_at` integer NOT NULL,
	`finished_at` integer,
	FOREIGN KEY (`channel`) REFERENCES `channels`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `deliveries_once` ON `deliveries` (`channel`,`notice`);--> statement-breakpoint
CREATE INDEX `deliveries_due` ON `deliveries` (`next_at`) WHERE "deliveries"."state" = 'due';--> statement-breakpoint
CREATE INDEX `deliveries_by_environment` ON `deliveries` (`environment`,`id`);--> statement-breakpoint
CREATE TABLE `reports_made` (
	`environment` text NOT NULL,
	`kind` text NOT NULL,
	`about` integer NOT NULL,
	PRIMARY KEY(`environment`, `kind`, `about`)
);
--> statement-breakpoint
CREATE TABLE `incident_notes` (
	`incident` text NOT NULL,
	`at` integer NOT NULL,
	`number` integer NOT NULL,
	`actor` text NOT NULL,
	`words` text NOT NULL,
	PRIMARY KEY(`incident`, `number`),
	FOREIGN KEY (`incident`) REFERENCES `incidents`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `incidents` (
	`id` text PRIMARY KEY NOT NULL,
	`environment` text NOT NULL,
	`flag` text NOT NULL,
	`rollout` text,
	`state` text NOT NULL,
	`title` text NOT NULL,
	`reason` text NOT NULL,
	`facts` text NOT NULL,
	`began_at` integer,
	`detected_at` integer NOT NULL,
	`committed_at` integer NOT NULL,
	`safe_at` integer,
	`safe_version` integer,
	`verification` text NOT NULL,
	`acknowledge_by` integer NOT NULL,
	`escalated_at` integer,
	`acknowledged_at` integer,
	`acknowledged_by` text,
	`resolved_at` integer,
	`resolved_by` text,
	`resolution` text DEFAULT '' NOT NULL,
	`post_mortem` text DEFAULT '' NOT NULL,
	`disputed_by` text,
	`dispute_note` text DEFAULT '' NOT NULL,
	`revision` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `incidents_by_environment` ON `incidents` (`environment`,`created_at`);--> statement-breakpoint
CREATE INDEX `incidents_by_rollout` ON `incidents` (`rollout`);--> statement-breakpoint
CREATE INDEX `incidents_open` ON `incidents` (`state`,`environment`);--> statement-breakpoint
CREATE TABLE `rollout_decisions` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`rollout` text NOT NULL,
	`at` integer NOT NULL,
	`deed` text NOT NULL,
	`reason` text NOT NULL,
	`actor` text NOT NULL,
	`comment` text NOT NULL,
	`stage` integer NOT NULL,
	`epoch` integer NOT NULL,
	`proven` integer,
	`evidence` text,
	FOREIGN KEY (`rollout`) REFERENCES `rollouts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `rollout_decisions_by_rollout` ON `rollout_decisions` (`rollout`,`id`);--> statement-breakpoint
CREATE TABLE `rollout_drills` (
	`id` text PRIMARY KEY NOT NULL,
	`rollout` text NOT NULL,
	`kind` text NOT NULL,
	`at` integer NOT NULL,
	`actor` text NOT NULL,
	`request` text NOT NULL,
	`result` text NOT NULL,
	FOREIGN KEY (`rollout`) REFERENCES `rollouts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `rollout_drills_by_rollout` ON `rollout_drills` (`rollout`,`at`);--> statement-breakpoint
CREATE TABLE `rollout_signals` (
	`id` text PRIMARY KEY NOT NULL,
	`rollout` text NOT NULL,
	`kind` text NOT NULL,
	`passed` integer NOT NULL,
	`at` integer NOT NULL,
	`author` text NOT NULL,
	`link` text NOT NULL,
	`note` text NOT NULL,
	FOREIGN KEY (`rollout`) REFERENCES `rollouts`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `rollout_signals_by_rollout` ON `rollout_signals` (`rollout`,`at`);--> statement-breakpoint
CREATE TABLE `rollouts` (
	`id` text PRIMARY KEY NOT NULL,
	`environment` text NOT NULL,
	`flag` text NOT NULL,
	`state` text NOT NULL,
	`plan` text NOT NULL,
	`draft` text NOT NULL,
	`seed` text NOT NULL,
	`reversed` integer DEFAULT false NOT NULL,
	`progress` text NOT NULL,
	`revision` integer NOT NULL,
	`retries` text,
	`created_by` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`started_by` text
);
--> statement-breakpoint
CREATE INDEX `rollouts_by_environment` ON `rollouts` (`environment`,`state`);--> statement-breakpoint
CREATE INDEX `rollouts_by_flag` ON `rollouts` (`flag`,`environment`);--> statement-breakpoint
CREATE UNIQUE INDEX `rollouts_live` ON `rollouts` (`environment`,`flag`) WHERE "rollouts"."state" IN ('awaiting_approval', 'scheduled', 'running', 'paused', 'rolling_back', 'watching');